"""Labelled incidents to become history: JSON Lines with a `labels` object, or CSV with a column per facet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput, NotFound, TriageError
from triage.domain.incident import Incident, content_id
from triage.domain.taxonomy import Taxonomy
from triage.intake.rows import (
    DataProblem,
    InvalidDataset,
    RowError,
    filled_cells,
    make_incident,
    read_csv_rows,
    read_rows,
)

_BETWEEN_LABELS = ";"


class LabelledReading(NamedTuple):
    """The records of a file, and the names of fields in it that are used for nothing."""

    records: tuple[tuple[Incident, Labels], ...]
    ignored: tuple[str, ...] = ()


def read_labelled(path: Path, taxonomy: Taxonomy) -> LabelledReading:
    """Incidents with their labels, in canonical form. In CSV several labels are separated by `;`, the primary first.

    Raises `NotFound`, or `InvalidDataset` with line and field of every mistake.
    """
    rows, problems = _csv_rows(path, taxonomy) if path.suffix.lower() == ".csv" else read_rows(path)[:2]
    records: dict[str, tuple[Incident, Labels]] = {}
    ignored: dict[str, None] = {}
    for line, row in rows:
        try:
            incident, labels, unused = _record(row, taxonomy)
            if incident.id in records:
                raise RowError("id", f"{incident.id!r} stands in the file before")
        except RowError as error:
            problems.append(DataProblem(line, error.field, str(error)))
            continue
        records[incident.id] = incident, labels
        ignored |= dict.fromkeys(unused)
    if problems:
        raise InvalidDataset(path, sorted(problems))
    return LabelledReading(tuple(records.values()), tuple(ignored))


def stream_labelled(
    path: Path, taxonomy: Taxonomy, unused: dict[str, None] | None = None
) -> Iterator[tuple[int, tuple[Incident, Labels] | DataProblem]]:
    """The records of a file one after another, each with the bytes read so far; what is wrong with a row in its place.

    Bounded in memory: a row is forgotten once it is given, and of an id that stands there twice the later row wins.
    The names of fields that are used for nothing are put into `unused`. Raises `NotFound`, or `InvalidInput` where the
    file can't be read as a table at all.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    with file:
        rows = _stream_csv(file, taxonomy) if path.suffix.lower() == ".csv" else _stream_json(file)
        for at, line, row in rows:
            if isinstance(row, DataProblem):
                yield at, row
                continue
            try:
                incident, labels, ignored = _record(row, taxonomy)
            except RowError as error:
                yield at, DataProblem(line, error.field, str(error))
            else:
                if unused is not None:
                    unused |= dict.fromkeys(ignored)
                yield at, (incident, labels)


def _stream_json(file: IO[bytes]) -> Iterator[tuple[int, int, dict[str, Any] | DataProblem]]:
    at = 0
    for number, line in enumerate(file, start=1):
        at += len(line)
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except UnicodeDecodeError as error:
            yield at, number, DataProblem(number, "", f"is not UTF-8 text (byte {error.start} of the line)")
        except json.JSONDecodeError as error:
            yield at, number, DataProblem(number, "", f"is not JSON: {error.msg} at column {error.colno}")
        else:
            if isinstance(row, dict):
                yield at, number, row
            else:
                yield at, number, DataProblem(number, "", f"must be a JSON object, not {type(row).__name__}")


def _stream_csv(file: IO[bytes], taxonomy: Taxonomy) -> Iterator[tuple[int, int, dict[str, Any] | DataProblem]]:
    facets = {facet.id for facet in taxonomy.facets}
    reader = csv.DictReader(io.TextIOWrapper(file, encoding="utf-8-sig", newline=""))
    try:
        for row in reader:
            if None in row:
                problem = DataProblem(reader.line_num, "", "has more cells than the header has columns")
                yield file.tell(), reader.line_num, problem
            else:
                yield file.tell(), reader.line_num, _csv_row(filled_cells(row), facets)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"The file is not UTF-8 text (after line {reader.line_num}): save it as UTF-8.", field="file"
        ) from error


def _csv_row(cells: dict[str, str], facets: set[str]) -> dict[str, Any]:
    # Severity may be both a plain field of the incident and a facet; the label is the one that can be checked.
    plain = set(Incident.model_fields) | {"text"}
    labels = {name: _labels(value) for name, value in cells.items() if name in facets}
    return {**{name: value for name, value in cells.items() if name not in facets or name in plain}, "labels": labels}


def _csv_rows(path: Path, taxonomy: Taxonomy) -> tuple[list[tuple[int, dict[str, Any]]], list[DataProblem]]:
    facets = {facet.id for facet in taxonomy.facets}
    rows, problems = read_csv_rows(path)
    return [(line, _csv_row(cells, facets)) for line, cells in rows], problems


def _labels(cell: str) -> list[str]:
    return [label.strip() for label in cell.split(_BETWEEN_LABELS) if label.strip()]


def _record(row: dict[str, Any], taxonomy: Taxonomy) -> tuple[Incident, Labels, list[str]]:
    given = row.get("labels")
    if not isinstance(given, dict) or not given:
        raise RowError("labels", "gives no label: an incident of the history needs at least one")
    fields = {name: row[name] for name in Incident.model_fields if row.get(name) is not None}
    if "write_up" not in fields and "text" in row:
        fields["write_up"] = row["text"]
    if "id" not in fields:
        fields["id"] = content_id(str(fields.get("title", "")), str(fields.get("write_up", "")))
    incident = make_incident(fields)
    labels: Labels = {}
    for facet, names in given.items():
        try:
            labels[facet] = taxonomy.canonical(facet, [names] if isinstance(names, str) else names)
        except TriageError as error:
            raise RowError(f"labels.{facet}", error.detail) from error
    try:
        taxonomy.validate_labels(labels)
    except TriageError as error:
        raise RowError("labels", error.detail) from error
    used = {*Incident.model_fields, "labels", *(["text"] if "write_up" not in row else [])}
    return incident, labels, [name for name, value in row.items() if name not in used and value is not None]
