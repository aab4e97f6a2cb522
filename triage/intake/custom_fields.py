"""Incidents and labels from a file with field names of its own; the caller says which field holds what."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident, content_id
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.intake.data_files import (
    DataProblem,
    InvalidDataset,
    NumberedRow,
    Row,
    RowError,
    as_id,
    is_csv,
    make_incident,
    make_labels,
    read_rows,
    split_labels,
)

DURATION = "duration_minutes"
"""Minutes from the start to the end, for files without an end."""

_MOST_LABELS = 200
_LONGEST_LABEL = 100
_TIMES = ("started_at", "detected_at", "mitigated_at", "resolved_at")
_TEXTS = tuple(name for name in Incident.model_fields if name not in (*_TIMES, "attributes"))
_SHOWN_PROBLEMS = 3


class FieldsReading(NamedTuple):
    """The incidents of a file with their labels, the labels' taxonomy, and notes on what was not used."""

    taxonomy: Taxonomy
    records: tuple[tuple[Incident, Labels], ...]
    notes: tuple[str, ...]


def read_fields(
    path: Path,
    taxonomy: Taxonomy | None,
    facets: Mapping[str, str],
    fields: Mapping[str, str],
    *,
    skip_bad: bool = False,
) -> FieldsReading:
    """The rows of a JSON Lines or CSV file. `facets` and `fields` map names to the file's fields.

    The keys of `fields` are an incident's fields, or `duration_minutes`; a dot names a field within another. Names
    that are not mapped are read under their own name, labels also within `labels`. Without a `taxonomy`, one is made
    of the labels in the file. The notes report times that can't be read or contradict an earlier one (they count as
    unknown), rows that repeat an id (the first counts), and with `skip_bad` rows that were skipped for their mistakes.
    Raises `NotFound`, `InvalidInput`, or `InvalidDataset` with line and field of every mistake.
    """
    columns = _facet_columns(taxonomy, facets, fields)
    rows, problems = _rows(path, columns)
    _check_fields(path, [row for _, row in rows], {**fields, **facets})
    with_labels = [(line, row, {name: _labels(row, field) for name, field in columns.items()}) for line, row in rows]
    if taxonomy is None:
        taxonomy = _taxonomy_of(columns, [labels for _, _, labels in with_labels])
    known = {facet.id for facet in taxonomy.facets}
    unused: Counter[tuple[str, str]] = Counter()
    records: dict[str, tuple[Incident, Labels]] = {}
    for line, row, found in with_labels:
        by_facet = {name if name in known else _identifier(name): labels for name, labels in found.items() if labels}
        try:
            incident, labels = _incident(row, fields, unused), make_labels(by_facet, taxonomy, "")
        except RowError as error:
            problems.append(DataProblem(line, error.field, str(error)))
        else:
            if incident.id in records:
                unused["id", "rows repeat one: the first of each counts."] += 1
            records.setdefault(incident.id, (incident, labels))
    if problems and not skip_bad:
        raise InvalidDataset(path, sorted(problems))
    notes = [f"{name}: {n} {why}" for (name, why), n in unused.items()]
    if problems:
        first = "; ".join(map(str, sorted(problems)[:_SHOWN_PROBLEMS]))
        notes.append(f"{len(problems)} row(s) with mistakes are left out: {first}.")
    unlabelled = sum(not labels for _, labels in records.values())
    if unlabelled:
        notes.append(f"{unlabelled} of {len(records)} incidents have no label of any facet.")
    return FieldsReading(taxonomy, tuple(records.values()), tuple(notes))


def _facet_columns(taxonomy: Taxonomy | None, facets: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """Facet -> field of the file, for all facets."""
    known = (*_TEXTS, *_TIMES, DURATION)
    if unknown := set(fields) - set(known):
        raise InvalidInput(
            f"An incident has no {', '.join(sorted(unknown))}. There are: {', '.join(known)}.", field="field"
        )
    if taxonomy is None:
        if not facets:
            raise InvalidInput(
                "Say with --facet NAME=FIELD which fields hold labels, or name a --taxonomy.", field="facet"
            )
        return dict(facets)
    for name in facets:
        taxonomy.facet(name)
    return {facet.id: facet.id for facet in taxonomy.facets} | dict(facets)


def _rows(path: Path, columns: Mapping[str, str]) -> tuple[list[NumberedRow], list[DataProblem]]:
    rows, problems, _ = read_rows(path)
    for _, row in rows if is_csv(path) else ():
        row |= {field: split_labels(row[field]) for field in columns.values() if field in row}
    return rows, problems


def _check_fields(path: Path, rows: Sequence[Row], columns: Mapping[str, str]) -> None:
    for name, field in columns.items():
        if all(_value(row, field) is None and _value(row, f"labels.{field}") is None for row in rows):
            known = dict.fromkeys(name for row in rows for name in _names(row))
            raise InvalidInput(
                f"No row of {path} has anything in {field!r}, which is to be the {name}. There are: "
                f"{', '.join(list(known)[:40])}.",
                field="field",
            )


def _names(row: Row) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)
        else:
            yield name


def _value(row: Row, field: str) -> Any:
    """The value of a field, or of one within another if its name has a dot; None if it is empty."""
    value: Any = row.get(field)
    if value is None and "." in field:
        outer, _, inner = field.partition(".")
        within = row.get(outer)
        value = _value(within, inner) if isinstance(within, dict) else None
    return None if value in ("", [], {}) else value


def _labels(row: Row, field: str) -> list[str]:
    value = _value(row, field)
    if value is None:
        value = _value(row, f"labels.{field}")
    labels = value if isinstance(value, list) else [] if value is None else [value]
    if any(isinstance(label, list | dict) for label in labels):
        raise InvalidInput(f"Field {field!r} holds lists of lists or objects, which are no labels.", field="facet")
    return [str(label).strip() for label in labels if label is not None and str(label).strip()]


def _incident(row: Row, fields: Mapping[str, str], unused: Counter[tuple[str, str]]) -> Incident:
    values: dict[str, Any] = {}
    for name in _TEXTS:
        value = _value(row, fields.get(name, name))
        if value is not None and not isinstance(value, list | dict):
            values[name] = str(value)
    text = _value(row, "text")
    if "write_up" not in values and isinstance(text, str):
        values["write_up"] = text
    # Incidents with titles alone can be studied too.
    values.setdefault("write_up", values.get("title", ""))
    values["id"] = as_id(values.get("id")) or content_id(values.get("title", ""), values["write_up"])
    try:
        return make_incident(values | _times(row, fields, unused))
    except RowError as error:
        raise RowError(fields.get(error.field, error.field), str(error)) from error


def _times(row: Row, fields: Mapping[str, str], unused: Counter[tuple[str, str]]) -> dict[str, datetime]:
    known: dict[str, datetime] = {}
    for name in _TIMES:
        value = _value(row, fields.get(name, name))
        if value is None:
            continue
        moment = _moment(value)
        if moment is None:
            unused[name, "can't be read as a date and time, and count as not known."] += 1
        elif known and moment < max(known.values()):
            unused[name, "are before an earlier time, and count as not known."] += 1
        else:
            known[name] = moment
    minutes = _value(row, fields[DURATION]) if DURATION in fields else None
    if minutes is not None and "started_at" in known and not {"mitigated_at", "resolved_at"} & set(known):
        end = _end(known["started_at"], minutes)
        if end is None or end < max(known.values()):
            unused[DURATION, "can't be read as minutes, and count as not known."] += 1
        else:
            known["resolved_at"] = end
    return known


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _end(start: datetime, minutes: object) -> datetime | None:
    try:
        return start + timedelta(minutes=float(str(minutes)))
    except (ValueError, OverflowError):
        return None


def _taxonomy_of(columns: Mapping[str, str], rows: Sequence[Mapping[str, list[str]]]) -> Taxonomy:
    """A taxonomy of the labels in `rows` (facet -> labels), most frequent first.

    Raises `InvalidInput` for a field with fewer than two labels, or with so many that it is text.
    """
    facets = []
    for name, field in columns.items():
        by_row = [list(dict.fromkeys(map(_identifier, row[name]))) for row in rows]
        counts = Counter(label for labels in by_row for label in labels)
        as_written = {_identifier(value): value for row in rows for value in row[name]}
        longest = max(map(len, as_written.values()), default=0)
        if not 2 <= len(counts) <= _MOST_LABELS or longest > _LONGEST_LABEL:
            raise InvalidInput(
                f"Field {field!r} has {len(counts)} different value(s), up to {longest} characters long: a facet has 2 "
                f"to {_MOST_LABELS} labels of at most {_LONGEST_LABEL} characters.",
                field="facet",
            )
        facets.append(
            Facet(
                id=_identifier(name),
                name=name.replace("_", " ").strip().capitalize(),
                question=f"What is the {field}?",
                cardinality="multi" if any(len(labels) > 1 for labels in by_row) else "single",
                replaces=(),
                labels=tuple(_label(label, as_written[label]) for label, _ in counts.most_common()),
            )
        )
    return Taxonomy(
        id="labels_of_the_file",
        version="0.0.0",
        title="Labels of the file",
        description="The labels in a file, without definitions.",
        facets=tuple(facets),
    )


def _label(label_id: str, name: str) -> Label:
    definition = f"Called {name!r} in the file."
    return Label(
        id=label_id,
        name=name,
        definition=definition,
        includes=(name,),
        excludes=("all else",),
        deciding_rule=definition,
        example=name,
        replaces=(),
    )


def _identifier(name: str) -> str:
    """A name as an id of a facet or label."""
    slug = re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_")
    return slug if slug[:1].isalpha() else f"l_{slug}"
