"""Labelled incidents to be scored against, and what can be wrong with a file of them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, Field, ValidationError

from triage.annotation import Labels
from triage.errors import InvalidInput, NotFound, TriageError
from triage.incident import Incident, Scalar
from triage.taxonomy import Taxonomy

_SHOWN_PROBLEMS = 20


class Case(BaseModel, frozen=True):
    """An incident with its gold labels.

    `facts` is what a suite may select by and the pipeline never sees.
    """

    incident: Incident
    gold: Labels
    facts: dict[str, Scalar] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.incident.id

    @cached_property
    def group(self) -> str:
        """Equal for cases with the same words: copies of one write-up, which must not be each other's history."""
        words = " ".join(self.incident.write_up.casefold().split())
        return hashlib.sha256(words.encode()).hexdigest()[:16]


class Dataset(BaseModel, frozen=True):
    """The cases of one file.

    `skipped` counts the rows without any gold label for the wanted facets, `left_out` those that the suite leaves out,
    `repeats` the exact repeats of a row.
    """

    name: str
    path: Path
    sha256: str
    cases: tuple[Case, ...]
    skipped: int = 0
    left_out: int = 0
    repeats: int = 0

    @property
    def records(self) -> list[tuple[Incident, Labels]]:
        """The cases as the history takes them."""
        return [(case.incident, case.gold) for case in self.cases]


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


def distinct(numbered: Iterable[tuple[int, Case]]) -> tuple[list[Case], int]:
    """The cases without exact repeats, and how many repeats there were.

    Published sets give one id to several reports now and then: the later ones get `-2`, `-3` and so on.
    """
    kept: dict[str, Case] = {}
    seen: dict[str, list[Case]] = {}
    repeats = 0
    for _, case in numbered:
        same_id = seen.setdefault(case.id, [])
        if case in same_id:
            repeats += 1
            continue
        same_id.append(case)
        new_id = case.id if len(same_id) == 1 else f"{case.id}-{len(same_id)}"
        kept[new_id] = case.model_copy(update={"incident": case.incident.model_copy(update={"id": new_id})})
    return list(kept.values()), repeats


def repeated_ids(numbered: Iterable[tuple[int, Case]]) -> Iterator[DataProblem]:
    """A problem for each case whose id another case had before."""
    lines: dict[str, int] = {}
    for line, case in numbered:
        if case.id in lines:
            yield DataProblem(line, "id", f"{case.id!r} stands on line {lines[case.id]} already")
        lines.setdefault(case.id, line)


def read_labels(row: Row, fields: Mapping[str, str], taxonomy: Taxonomy) -> Labels:
    """The gold labels of a row as taxonomy ids, for facet -> field of the row's `labels`; facets without are left out.

    Raises `RowError` for a label that the taxonomy does not have.
    """
    given = row.get("labels")
    if not isinstance(given, dict):
        raise RowError("labels", "must be an object of labels")
    labels: Labels = {}
    for facet, field in fields.items():
        value = given.get(field)
        names = [value] if isinstance(value, str) else value
        if not names:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RowError(f"labels.{field}", f"must be a label or a list of labels, not {value!r}")
        try:
            labels[facet] = taxonomy.canonical(facet, names)
        except TriageError as error:
            raise RowError(f"labels.{field}", error.detail) from error
    return labels


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
