"""Labelled incidents to become history: JSON Lines with a `labels` object, or CSV with a column per facet."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

from triage.annotation import Labels
from triage.errors import InvalidInput, NotFound, TriageError
from triage.incident import Incident, content_id
from triage.intake.rows import DataProblem, InvalidDataset, RowError, make_incident, read_rows
from triage.taxonomy import Taxonomy

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


def _csv_rows(path: Path, taxonomy: Taxonomy) -> tuple[list[tuple[int, dict[str, Any]]], list[DataProblem]]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.", field="file") from error
    facets = {facet.id for facet in taxonomy.facets}
    # Severity may be both a plain field of the incident and a facet; the label is the one that can be checked.
    plain = set(Incident.model_fields) | {"text"}
    reader = csv.DictReader(io.StringIO(text, newline=""))
    found: list[tuple[int, dict[str, Any]]] = []
    for row in reader:
        if None in row:
            problem = DataProblem(reader.line_num, "", "has more cells than the header has columns")
            return [], [problem]
        cells = {name.strip(): value.strip() for name, value in row.items() if value and value.strip()}
        labels = {name: _labels(value) for name, value in cells.items() if name in facets}
        others = {name: value for name, value in cells.items() if name not in facets or name in plain}
        found.append((reader.line_num, {**others, "labels": labels}))
    return found, [] if found else [DataProblem(1, "", "the file has no rows below its header")]


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
