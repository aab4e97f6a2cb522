"""Labelled incidents, for the history and suites: JSON Lines with a `labels` object, or CSV with a column per facet."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident, Scalar
from triage.domain.taxonomy import Taxonomy
from triage.intake.data_files import (
    DataProblem,
    InvalidDataset,
    Row,
    RowError,
    as_id,
    csv_rows,
    filled_cells,
    incident_fields,
    is_csv,
    json_lines,
    make_incident,
    make_labels,
    read_rows,
    split_labels,
)


class LabelledRow(NamedTuple):
    """An incident with its labels in canonical form, which may be none.

    `facts` are the row's fields that are text or numbers, but for title and text. `unused` names the fields that are
    neither an incident's nor a facet's.
    """

    incident: Incident
    labels: Labels
    facts: dict[str, Scalar]
    unused: tuple[str, ...]


def read_row(row: Row, taxonomy: Taxonomy, columns: Mapping[str, str] | None = None) -> LabelledRow:
    """A labelled incident. Raises `RowError`.

    The labels are in an object `labels`, or in fields of their own as in CSV, where `;` separates several; the primary
    one is first. `columns` maps a facet to its field if that is not named like the facet.
    """
    columns = {facet.id: facet.id for facet in taxonomy.facets} | dict(columns or {})
    given = row.get("labels", row)
    if not isinstance(given, dict):
        raise RowError("labels", "must be an object of labels")
    fields, others = incident_fields({**row, "id": as_id(row.get("id")) or None})
    try:
        incident = make_incident(fields)
    except RowError as error:
        # Use the field's name in the file.
        is_text = error.field == "write_up" and "write_up" not in row and "text" in row
        raise RowError("text" if is_text else error.field, str(error)) from error
    is_flat = given is row
    by_facet = {
        facet: _names(given[field], field, is_cell=is_flat) for facet, field in columns.items() if given.get(field)
    }
    try:
        labels = make_labels(by_facet, taxonomy)
    except RowError as error:
        facet = error.field.removeprefix("labels.")
        raise RowError(f"labels.{columns[facet]}" if facet in columns else error.field, str(error)) from error
    used = {"labels", *(columns.values() if is_flat else ())}
    unused = [name for name in others if name not in used]
    if not is_flat:
        unused += [f"labels.{name}" for name, value in given.items() if name not in columns.values() and value]
    facts: dict[str, Scalar] = {
        name: value
        for name, value in row.items()
        if name not in ("title", "text", "write_up") and isinstance(value, str | int | float)
    }
    return LabelledRow(incident, labels, facts, tuple(unused))


def read_labelled(path: Path, taxonomy: Taxonomy) -> tuple[tuple[Incident, Labels], ...]:
    """The incidents of a file with their labels, which may be none.

    Raises `NotFound`, or `InvalidDataset` with line and field of every mistake.
    """
    rows, problems, _ = read_rows(path)
    records: dict[str, tuple[Incident, Labels]] = {}
    for line, row in rows:
        record = _record(line, row, taxonomy)
        if isinstance(record, DataProblem):
            problems.append(record)
        elif (incident_id := record.incident.id) in records:
            problems.append(DataProblem(line, "id", f"{incident_id!r} appears twice in the file"))
        else:
            records[incident_id] = record.incident, record.labels
    if problems:
        raise InvalidDataset(path, sorted(problems))
    return tuple(records.values())


def stream_labelled(
    path: Path, taxonomy: Taxonomy, columns: Mapping[str, str] | None = None
) -> Iterator[LabelledRow | DataProblem]:
    """The rows of a file one by one, as `read_row` reads them, or the problem in place of a row.

    Memory is bounded: rows are not kept, so an id may appear twice. Raises `NotFound`, or `InvalidInput` if the file is
    not a table at all.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    line = 0
    with file:
        try:
            table = csv_rows(io.TextIOWrapper(file, "utf-8-sig", newline="")) if is_csv(path) else json_lines(file)
            for line, row in table:
                filled = filled_cells(row) if is_csv(path) and not isinstance(row, DataProblem) else row
                yield filled if isinstance(filled, DataProblem) else _record(line, filled, taxonomy, columns)
        except UnicodeDecodeError as error:
            raise InvalidInput(
                f"The file is not UTF-8 text (after line {line}): save it as UTF-8.", field="file"
            ) from error


def _record(
    line: int, row: Row, taxonomy: Taxonomy, columns: Mapping[str, str] | None = None
) -> LabelledRow | DataProblem:
    try:
        return read_row(row, taxonomy, columns)
    except RowError as error:
        return DataProblem(line, error.field, str(error))


def _names(value: Any, field: str, *, is_cell: bool) -> list[str]:
    names = split_labels(value) if is_cell and isinstance(value, str) else [value] if isinstance(value, str) else value
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RowError(f"labels.{field}", f"must be a label or a list of labels, not {value!r}")
    return names
