"""Incidents of a file whose fields have names of their own: which field holds what is said by the caller."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput, TriageError
from triage.domain.incident import Incident, content_id
from triage.domain.taxonomy import Taxonomy
from triage.intake.found_labels import identifier, taxonomy_of
from triage.intake.rows import DataProblem, InvalidDataset, Row, RowError, make_incident, read_csv_rows, read_rows

DURATION = "duration_minutes"
"""Minutes from the start to the end, for files that have no end."""
_TIMES = ("started_at", "detected_at", "mitigated_at", "resolved_at")
_TEXTS = tuple(name for name in Incident.model_fields if name not in (*_TIMES, "attributes"))
_BETWEEN_LABELS = ";"
_SHOWN_PROBLEMS = 3


class FieldsReading(NamedTuple):
    """The incidents of a file with their labels, the taxonomy of these, and what of the file could not be used."""

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
    """The rows of a JSON Lines or CSV file. `facets` and `fields` say which field of the file holds what.

    Keys of `fields` are those of an incident, or `duration_minutes`; a field within another is written with a dot.
    What is not named is read under its own name, labels also within `labels`. Without a `taxonomy` one is made of the
    labels that stand there. Told in the notes, and no mistake, are times that can't be read or contradict an earlier
    one, which count as not known, and rows that repeat an id, of which the first counts; with `skip_bad` also rows that
    are left out for their mistakes. Raises `NotFound`, `InvalidInput`, or `InvalidDataset` with line and field of every
    mistake.
    """
    wanted = _wanted(taxonomy, facets, fields)
    rows, problems = _rows(path, wanted)
    _check_fields(path, [row for _, row in rows], {**fields, **facets})
    said = [(line, row, {name: _values(row, field) for name, field in wanted.items()}) for line, row in rows]
    if taxonomy is None:
        taxonomy = taxonomy_of(wanted, [values for _, _, values in said])
    unused: Counter[tuple[str, str]] = Counter()
    records: dict[str, tuple[Incident, Labels]] = {}
    for line, row, values in said:
        try:
            incident, labels = _incident(row, fields, unused), _labels(values, taxonomy)
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
    bare = sum(not labels for _, labels in records.values())
    if bare:
        notes.append(f"{bare} of {len(records)} incidents have no label of any facet.")
    return FieldsReading(taxonomy, tuple(records.values()), tuple(notes))


def _wanted(taxonomy: Taxonomy | None, facets: Mapping[str, str], fields: Mapping[str, str]) -> dict[str, str]:
    """Facet -> field, of all facets."""
    strange = set(fields) - {*_TEXTS, *_TIMES, DURATION}
    if strange:
        there = ", ".join((*_TEXTS, *_TIMES, DURATION))
        raise InvalidInput(f"An incident has no {', '.join(sorted(strange))}. There are: {there}.", field="field")
    if taxonomy is None:
        if not facets:
            raise InvalidInput(
                "Say with --facet NAME=FIELD which fields hold labels, or name a --taxonomy.", field="facet"
            )
        return dict(facets)
    for name in facets:
        taxonomy.facet(name)
    return {facet.id: facet.id for facet in taxonomy.facets} | dict(facets)


def _rows(path: Path, facets: Mapping[str, str]) -> tuple[list[tuple[int, Row]], list[DataProblem]]:
    if path.suffix.lower() != ".csv":
        return read_rows(path)[:2]
    found, problems = read_csv_rows(path)
    rows: list[tuple[int, Row]] = []
    for line, cells in found:
        row: Row = dict(cells)
        for field in facets.values():
            if field in cells:
                row[field] = [part.strip() for part in cells[field].split(_BETWEEN_LABELS) if part.strip()]
        rows.append((line, row))
    return rows, problems


def _check_fields(path: Path, rows: Iterable[Row], named: Mapping[str, str]) -> None:
    found = list(rows)
    for name, field in named.items():
        if all(_value(row, field) is None and _value(row, f"labels.{field}") is None for row in found):
            there = dict.fromkeys(name for row in found for name in _names(row))
            raise InvalidInput(
                f"No row of {path} has anything in {field!r}, which is to be the {name}. There are: "
                f"{', '.join(list(there)[:40])}.",
                field="field",
            )


def _names(row: Row) -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from (f"{name}.{inner}" for inner in value)
        else:
            yield name


def _value(row: Row, field: str) -> Any:
    """What stands in a field, or within one where its name has a dot; None for nothing."""
    value: Any = row.get(field)
    if value is None and "." in field:
        outer, _, inner = field.partition(".")
        within = row.get(outer)
        value = _value(within, inner) if isinstance(within, dict) else None
    return None if value in ("", [], {}) else value


def _values(row: Row, field: str) -> list[str]:
    """The labels in a field. Raises `RowError` for what is no text, number or list of them."""
    value = _value(row, field)
    if value is None:
        value = _value(row, f"labels.{field}")
    found = value if isinstance(value, list) else [] if value is None else [value]
    if any(isinstance(one, list | dict) for one in found):
        raise InvalidInput(f"Field {field!r} holds lists of lists or objects, which are no labels.", field="facet")
    return [str(one).strip() for one in found if one is not None and str(one).strip()]


def _labels(values: Mapping[str, list[str]], taxonomy: Taxonomy) -> Labels:
    labels: Labels = {}
    for name, given in values.items():
        facet = name if name in {one.id for one in taxonomy.facets} else identifier(name)
        if given:
            try:
                labels[facet] = taxonomy.canonical(facet, given)
            except TriageError as error:
                raise RowError(name, error.detail) from error
    try:
        return taxonomy.validate_labels(labels)
    except TriageError as error:
        raise RowError("labels", error.detail) from error


def _incident(row: Row, fields: Mapping[str, str], unused: Counter[tuple[str, str]]) -> Incident:
    values: dict[str, Any] = {}
    for name in _TEXTS:
        value = _value(row, fields.get(name, name))
        if value is not None and not isinstance(value, list | dict):
            values[name] = str(value)
    text = _value(row, "text")
    if "write_up" not in values and isinstance(text, str):
        values["write_up"] = text
    # A list of incidents by their titles alone can be studied too.
    values.setdefault("write_up", values.get("title", ""))
    given = re.sub(r"[^A-Za-z0-9._:-]+", "-", values.get("id", "")).lstrip("._:-")
    values["id"] = given or content_id(values.get("title", ""), values["write_up"])
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
        found = datetime.fromisoformat(value.strip()) if isinstance(value, str) else None
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found is not None and found.tzinfo is None else found


def _end(start: datetime, minutes: object) -> datetime | None:
    try:
        return start + timedelta(minutes=float(str(minutes)))
    except (ValueError, OverflowError):
        return None
