"""Data files: JSON Lines, JSON arrays and CSV, read into rows; every mistake is reported with its line and field."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput, NotFound, TriageError
from triage.domain.incident import Incident, content_id
from triage.domain.taxonomy import Taxonomy

BETWEEN_LABELS = ";"
"""Separates several labels in a CSV cell."""

_SHOWN_PROBLEMS = 20
_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"


class DataProblem(NamedTuple):
    """A mistake in a data file."""

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
        mistakes = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"{path} has {mistakes}:\n" + "\n".join(shown), field="data", path=str(path))
        self.problems = list(problems)


class RowError(Exception):
    """A mistake in a row: the field and what is wrong with it."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


Row = dict[str, Any]
NumberedRow = tuple[int, Row]
"""A row and the line on which it begins."""


def read_bytes(path: Path) -> bytes:
    """The content of a file. Raises `NotFound`, or `InvalidInput` for a folder."""
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{path} is a folder: name a file in it.", field="file") from error


def decode(content: bytes, path: Path) -> str:
    """`content` as text, without a byte order mark. Raises `InvalidInput` if it is not UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.", field="file") from error


def is_csv(path: Path) -> bool:
    """True if the file's name says that it is CSV."""
    return path.suffix.lower() == ".csv"


def read_rows(path: Path) -> tuple[list[NumberedRow], list[DataProblem], str]:
    """The objects of a JSON Lines file or the rows of a CSV file, what is not valid, and the file's SHA-256."""
    content = read_bytes(path)
    if is_csv(path):
        table, problems = divided(csv_rows(io.StringIO(decode(content, path), newline="")))
        rows = [(line, filled_cells(row)) for line, row in table]
    else:
        rows, problems = divided(json_lines(content.split(b"\n")))
    if not rows and not problems:
        empty = "the file has no rows below its header" if is_csv(path) else "the file is empty"
        problems.append(DataProblem(1, "", empty))
    return rows, problems, hashlib.sha256(content).hexdigest()


def divided(found: Iterable[tuple[int, Row | DataProblem]]) -> tuple[list[NumberedRow], list[DataProblem]]:
    """Rows and problems apart."""
    rows, problems = list[NumberedRow](), list[DataProblem]()
    for line, row in found:
        if isinstance(row, DataProblem):
            problems.append(row)
        else:
            rows.append((line, row))
    return rows, problems


def json_lines(lines: Iterable[bytes]) -> Iterator[tuple[int, Row | DataProblem]]:
    """Each line that is not blank as an object, or what is wrong with it."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            yield number, json_object(json.loads(line), number)
        except UnicodeDecodeError as error:
            yield number, DataProblem(number, "", f"is not UTF-8 text (byte {error.start} of the line)")
        except json.JSONDecodeError as error:
            yield number, DataProblem(number, "", f"is not JSON: {error.msg} at column {error.colno}")


def json_object(value: object, line: int) -> Row | DataProblem:
    """A JSON value if it is an object, else the problem."""
    if isinstance(value, dict):
        return value
    return DataProblem(line, "", f"must be a JSON object, not {type(value).__name__}")


def json_items(text: str) -> Iterator[tuple[int, Row | DataProblem]]:
    """The objects in `text`, one after another or in one array, and problems in place of items that are not objects.

    >>> list(json_items('[{"a": 1},\\n {"b": 2}]'))
    [(1, {'a': 1}), (2, {'b': 2})]
    """
    start = len(text) - len(text.lstrip(_SPACE))
    is_array = text[start : start + 1] == "["
    between = re.compile(r"[ \t\r\n,]*" if is_array else r"[ \t\r\n]*")
    at = _end(between, text, start + is_array)
    line, counted, is_cut = 1, 0, False
    while at < len(text) and not (is_array and text[at] == "]"):
        line, counted = line + text.count("\n", counted, at), at
        try:
            value, end = _DECODER.raw_decode(text, at)
        except json.JSONDecodeError as error:
            yield line, DataProblem(error.lineno, "", f"is not JSON: {error.msg} at column {error.colno}")
            is_cut = is_array
            if is_array or (end := text.find("\n", at)) < 0:
                break
        else:
            yield line, json_object(value, line)
        at = _end(between, text, end)
    if is_array and at >= len(text) and not is_cut:
        yield line, DataProblem(line, "", "the array is not closed: the file is cut off")


def csv_rows(file: Iterable[str]) -> Iterator[tuple[int, Row | DataProblem]]:
    """The rows of a CSV file with all their cells, stripped; a row with too many cells is a problem."""
    reader = csv.DictReader(file)
    for row in reader:
        if None in row:
            yield reader.line_num, DataProblem(reader.line_num, "", "has more cells than the header has columns")
        else:
            yield reader.line_num, {name.strip(): (value or "").strip() for name, value in row.items()}


def filled_cells(row: Mapping[str, Any]) -> Row:
    """The cells of a CSV row that are not empty."""
    return {name: value for name, value in row.items() if value}


def split_labels(cell: str) -> list[str]:
    """The labels in a CSV cell."""
    return [label.strip() for label in cell.split(BETWEEN_LABELS) if label.strip()]


def incident_fields(row: Mapping[str, Any]) -> tuple[Row, list[str]]:
    """The fields of an incident in a row, and the names of its other fields.

    `text` may stand for `write_up`. Without an `id` the incident gets one derived from its content.
    """
    fields = {name: row[name] for name in Incident.model_fields if row.get(name) is not None}
    used = set(fields)
    if "write_up" not in fields and "text" in row:
        fields["write_up"] = row["text"]
        used.add("text")
    if "id" not in fields:
        fields["id"] = content_id(str(fields.get("title", "")), str(fields.get("write_up", "")))
    return fields, [name for name, value in row.items() if name not in used and value is not None]


def as_id(published: object) -> object:
    """An id without the characters that ids of incidents can't have; what is no text is returned unchanged."""
    return re.sub(r"[^A-Za-z0-9._:-]+", "-", published).lstrip("._:-") if isinstance(published, str) else published


def make_incident(fields: Mapping[str, Any]) -> Incident:
    """An incident. Raises `RowError` with the first invalid field."""
    try:
        return Incident.model_validate(fields)
    except ValidationError as error:
        raise rejection(error) from error


def make_labels(labels: Mapping[str, Sequence[str]], taxonomy: Taxonomy, prefix: str = "labels.") -> Labels:
    """Labels by facet in canonical form. Raises `RowError`; its field is the facet after `prefix`."""
    canonical: Labels = {}
    for facet, names in labels.items():
        try:
            canonical[facet] = taxonomy.canonical(facet, names)
        except TriageError as error:
            raise RowError(f"{prefix}{facet}", error.detail) from error
    try:
        return taxonomy.validate_labels(canonical)
    except TriageError as error:
        raise RowError("labels", error.detail) from error


def rejection(error: ValidationError) -> RowError:
    """The first mistake of a validation error."""
    first = error.errors()[0]
    return RowError(".".join(map(str, first["loc"])), first["msg"].removeprefix("Value error, "))


def _end(pattern: re.Pattern[str], text: str, at: int) -> int:
    match = pattern.match(text, at)
    return match.end() if match else at
