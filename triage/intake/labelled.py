"""Labelled incidents for the history: JSON Lines with a `labels` object, or CSV with a column for each facet."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.intake.data_files import (
    DataProblem,
    InvalidDataset,
    Row,
    RowError,
    csv_rows,
    filled_cells,
    incident_fields,
    json_lines,
    make_incident,
    make_labels,
    read_csv_rows,
    read_rows,
    split_labels,
)


class LabelledReading(NamedTuple):
    """The records of a file, and the names of fields that are not used."""

    records: tuple[tuple[Incident, Labels], ...]
    ignored: tuple[str, ...] = ()


def read_labelled(path: Path, taxonomy: Taxonomy) -> LabelledReading:
    """Incidents with their labels in canonical form. CSV separates several labels by `;`, the primary one first.

    Raises `NotFound`, or `InvalidDataset` with line and field of every mistake.
    """
    is_csv = _is_csv(path)
    rows, problems = read_csv_rows(path) if is_csv else read_rows(path)[:2]
    records: dict[str, tuple[Incident, Labels]] = {}
    ignored: dict[str, None] = {}
    for line, row in rows:
        record = _record(line, row, taxonomy, ignored, is_csv=is_csv)
        if isinstance(record, DataProblem):
            problems.append(record)
        elif (incident_id := record[0].id) in records:
            problems.append(DataProblem(line, "id", f"{incident_id!r} appears twice in the file"))
        else:
            records[incident_id] = record
    if problems:
        raise InvalidDataset(path, sorted(problems))
    return LabelledReading(tuple(records.values()), tuple(ignored))


def stream_labelled(
    path: Path, taxonomy: Taxonomy, unused: dict[str, None] | None = None
) -> Iterator[tuple[int, tuple[Incident, Labels] | DataProblem]]:
    """The records of a file one by one, or the problem in place of a record, each with the bytes read so far.

    Memory is bounded: rows are not kept, so an id may appear twice. The names of fields that are not used are added
    to `unused`. Raises `NotFound`, or `InvalidInput` if the file is not a table at all.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    is_csv, line = _is_csv(path), 0
    unused = {} if unused is None else unused
    with file:
        try:
            for line, row in csv_rows(io.TextIOWrapper(file, "utf-8-sig", newline="")) if is_csv else json_lines(file):
                yield file.tell(), _record(line, row, taxonomy, unused, is_csv=is_csv)
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"The file is not UTF-8 text (after line {line}): save it as UTF-8.", field="file"
            ) from error


def _record(
    line: int, row: Row | DataProblem, taxonomy: Taxonomy, unused: dict[str, None], *, is_csv: bool
) -> tuple[Incident, Labels] | DataProblem:
    if isinstance(row, DataProblem):
        return row
    row = _with_labels(filled_cells(row), taxonomy) if is_csv else row
    try:
        labels = row.get("labels")
        if not isinstance(labels, dict) or not labels:
            raise RowError("labels", "gives no label: an incident of the history needs at least one")
        fields, others = incident_fields(row)
        incident = make_incident(fields)
        by_facet = {facet: [names] if isinstance(names, str) else names for facet, names in labels.items()}
        canonical = make_labels(by_facet, taxonomy)
    except RowError as error:
        return DataProblem(line, error.field, str(error))
    unused |= dict.fromkeys(name for name in others if name != "labels")
    return incident, canonical


def _with_labels(cells: Row, taxonomy: Taxonomy) -> Row:
    """A CSV row with the labels of its facet columns in `labels`."""
    facets = {facet.id for facet in taxonomy.facets}
    # Severity may be both a field of the incident and a facet; the label is the one that can be validated.
    fields = {*Incident.model_fields, "text"}
    labels = {name: split_labels(value) for name, value in cells.items() if name in facets}
    return {**{name: value for name, value in cells.items() if name not in facets or name in fields}, "labels": labels}


def _is_csv(path: Path) -> bool:
    return path.suffix.lower() == ".csv"
