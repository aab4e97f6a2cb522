"""Files of JSON objects, one a line, or of CSV; every mistake in them is told with its line and field."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident

_SHOWN_PROBLEMS = 20


class DataProblem(NamedTuple):
    """One mistake in a data file."""

    line: int
    field: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, field {self.field}: {self.message}" if self.field else f"line {self.line}: {self[2]}"


class InvalidDataset(InvalidInput):
    """A data file with mistakes; the detail names line and field of each."""

    title = "The data file is not valid"

    def __init__(self, path: Path, problems: Sequence[DataProblem]) -> None:
        shown = [f"  {problem}" for problem in problems[:_SHOWN_PROBLEMS]]
        if len(problems) > _SHOWN_PROBLEMS:
            shown.append(f"  and {len(problems) - _SHOWN_PROBLEMS} more")
        detail = f"{path} has {len(problems)} mistake(s):\n" + "\n".join(shown)
        super().__init__(detail, field="data", path=str(path))
        self.problems = list(problems)


class RowError(Exception):
    """A row that can't become a case: the field and what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


Row = dict[str, Any]


def read_rows(path: Path) -> tuple[list[tuple[int, Row]], list[DataProblem], str]:
    """The objects of a JSON Lines file with their line numbers, the lines that are none, and the file's SHA-256."""
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no data file {path}: give its path with --data.", path=str(path)) from error
    rows, problems = list[tuple[int, Row]](), list[DataProblem]()
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except UnicodeDecodeError as error:
            problems.append(DataProblem(number, "", f"is not UTF-8 text (byte {error.start} of the line)"))
        except json.JSONDecodeError as error:
            problems.append(DataProblem(number, "", f"is not JSON: {error.msg} at column {error.colno}"))
        else:
            if isinstance(row, dict):
                rows.append((number, row))
            else:
                problems.append(DataProblem(number, "", f"must be a JSON object, not {type(row).__name__}"))
    if not rows and not problems:
        problems.append(DataProblem(1, "", "the file is empty"))
    return rows, problems, hashlib.sha256(content).hexdigest()


def read_csv_rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[DataProblem]]:
    """The cells of a CSV file with their line numbers, without empty ones, or what is wrong with it.

    Raises `NotFound`, and `InvalidInput` for what is not UTF-8.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.", field="file") from error
    reader = csv.DictReader(io.StringIO(text, newline=""))
    rows: list[tuple[int, dict[str, str]]] = []
    for row in reader:
        if None in row:
            return [], [DataProblem(reader.line_num, "", "has more cells than the header has columns")]
        rows.append((reader.line_num, filled_cells(row)))
    return rows, [] if rows else [DataProblem(1, "", "the file has no rows below its header")]


def filled_cells(row: Mapping[str, str | None]) -> dict[str, str]:
    """The cells of a row of CSV that hold something, without the blanks around names and values."""
    return {name.strip(): value.strip() for name, value in row.items() if value and value.strip()}


def make_incident(fields: Mapping[str, Any]) -> Incident:
    """An incident, or `RowError` with the first field that is wrong."""
    try:
        return Incident.model_validate(fields)
    except ValidationError as error:
        raise rejection(error) from error


def rejection(error: ValidationError) -> RowError:
    """The first mistake of a validation error, with its field."""
    first = error.errors()[0]
    return RowError(".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, "))
