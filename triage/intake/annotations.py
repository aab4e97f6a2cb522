"""Annotations from files: our own CSV and JSON Lines, Label Studio and Argilla exports, recognised by their content."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from triage.domain.annotation import NOT_TOLD, Annotation, Origin
from triage.domain.errors import TriageError
from triage.domain.incident import Incident, Moment
from triage.domain.taxonomy import Taxonomy
from triage.intake import argilla, label_studio
from triage.intake.data_files import (
    DataProblem,
    InvalidDataset,
    NumberedRow,
    Row,
    RowError,
    csv_rows,
    decode,
    divided,
    filled_cells,
    json_items,
    read_bytes,
    rejection,
    split_labels,
)
from triage.intake.raw_annotations import RawAnnotation, Source

_MOMENT = TypeAdapter[Any](Moment)
_OTHERS = ("note", "is_gold", "origin", "created_at", "saw_model", "confirms", "settles")
_USED = {*_OTHERS, "id", "incident_id", "annotator", "labels", "facet", "title", "write_up", "text", "body"}
_SHOWN_LINES = 5


class NumberedAnnotation(NamedTuple):
    """An annotation, and its line in the file."""

    line: int
    annotation: Annotation


class AnnotationReading(NamedTuple):
    """The annotations of a file.

    `incidents` are those whose text is in the file, by id. `left_out` counts what was skipped, by its kind (skipped
    tasks, drafts, predictions of a model); `ignored` names the questions and columns that are not used.
    """

    numbered: tuple[NumberedAnnotation, ...]
    incidents: Mapping[str, Incident]
    left_out: Mapping[str, int]
    ignored: tuple[str, ...]

    @property
    def annotations(self) -> list[Annotation]:
        """The annotations without their lines, in the order of the file."""
        return [each.annotation for each in self.numbered]


def read_annotations(
    path: Path,
    taxonomy: Taxonomy,
    *,
    annotator: str = "",
    facet: str = "",
    origin: Origin | None = None,
    renamed: Mapping[str, str] | None = None,
) -> AnnotationReading:
    """The annotations of a file, with their labels in canonical form, in the order of the file.

    `annotator` made those that name nobody, `origin` is that of those that state none, and `facet` is what a question
    without a name is about. `renamed` maps names of annotators, and of questions that are facets under another name.
    `id` and `settles` are those of the file. Raises `NotFound`, or `InvalidDataset` with line and field of every
    mistake; unknown labels come with the closest known one.
    """
    text = decode(read_bytes(path), path)
    source = Source(taxonomy, renamed or {}, taxonomy.facet(facet).id if facet else "")
    found = _read_csv(text, source) if path.suffix.lower() == ".csv" else _read_json(text, source)
    problems: list[DataProblem] = []
    numbered: list[NumberedAnnotation] = []
    earlier: dict[int | None, Annotation] = {}
    for raw in found:
        if isinstance(raw, DataProblem):
            problems.append(raw)
            continue
        unknown = list(_unknown_labels(raw, taxonomy))
        problems += unknown
        try:
            if not unknown:
                annotation = _settling(_annotation(raw, annotator, origin, taxonomy), earlier)
                earlier[annotation.id] = annotation
                numbered.append(NumberedAnnotation(raw.line, annotation))
        except RowError as error:
            problems.append(DataProblem(raw.line, error.field, str(error)))
    if not numbered and not problems:
        problems.append(DataProblem(1, "", _nothing_found(source)))
    if problems:
        raise InvalidDataset(path, _merged(problems))
    return AnnotationReading(tuple(numbered), source.incidents, +source.left_out, tuple(source.ignored))


def _read_csv(text: str, source: Source) -> Iterator[RawAnnotation | DataProblem]:
    """A row for each annotation (columns `facet` and `labels`), or a row for each incident and a column per facet."""
    for line, row in csv_rows(io.StringIO(text, newline="")):
        if isinstance(row, DataProblem):
            yield row
            continue
        cells = filled_cells(row)
        if "facet" in row:
            label = cells.pop("label", "")
            cells["labels"] = split_labels(str(cells.get("labels", label))) or None
            cells["settles"] = split_labels(str(cells.get("settles", "")))
        else:
            facets = [name for name in cells if source.find_facet(name)]
            cells["labels"] = {name: split_labels(cells.pop(name)) for name in facets}
        yield from _read_row(line, cells, source)


def _read_json(text: str, source: Source) -> Iterator[RawAnnotation | DataProblem]:
    items, problems = divided(json_items(text))
    yield from problems
    records = _unfolded(items)
    if any(label_studio.is_task(record) for _, record in records):
        yield from label_studio.read(records, source)
    elif any(argilla.is_record(record) for _, record in records):
        yield from argilla.read(records, source)
    else:
        for line, row in records:
            yield from _read_row(line, row, source)


def _unfolded(items: Sequence[NumberedRow]) -> Sequence[NumberedRow]:
    """Records from one object of columns, or of records by id, as Argilla's `to_dict` makes them."""
    if len(items) != 1 or label_studio.is_task(items[0][1]) or argilla.is_record(items[0][1]):
        return items
    line, folded = items[0]
    values = list(folded.values())
    if values and all(isinstance(value, dict) and argilla.is_record(value) for value in values):
        return [(line, {"id": key, **value}) for key, value in folded.items()]
    if isinstance(folded.get("responses"), list) and all(isinstance(value, list) for value in values):
        return [(line, dict(zip(folded, row, strict=True))) for row in zip(*values, strict=False)]
    return items


def _read_row(line: int, row: Row, source: Source) -> Iterator[RawAnnotation | DataProblem]:
    """Our own format: one annotation, or all by one annotator for one incident if `labels` is an object."""
    try:
        incident_id = source.incident_id(row.get("incident_id", row.get("id")), row)
    except RowError as error:
        yield DataProblem(line, error.field, str(error))
        return
    labels = row.get("labels")
    by_facet = labels if isinstance(labels, dict) else {str(row.get("facet", "")): labels}
    # An empty list is an answer: the write-up doesn't tell.
    by_facet = {question: names for question, names in by_facet.items() if names not in (None, "")}
    if not by_facet:
        source.left_out["rows without labels"] += 1
        return
    others = {name: row[name] for name in _OTHERS if row.get(name) is not None}
    if "incident_id" in row and str(row.get("id")).isdecimal():
        others["id"] = row["id"]
    annotator = source.annotator(row.get("annotator"))
    for question, names in by_facet.items():
        if (facet := source.find_facet(question)) is None:
            known = ", ".join(each.id for each in source.taxonomy.facets)
            yield DataProblem(line, "facet", f"{question!r} is no facet of {source.taxonomy.id!r}. It has: {known}")
            continue
        listed = names if isinstance(names, list) else [names]
        yield RawAnnotation(line, incident_id, facet, [str(name) for name in listed], annotator, others)
    source.ignored |= dict.fromkeys(name for name in row if name not in _USED)


def _unknown_labels(raw: RawAnnotation, taxonomy: Taxonomy) -> Iterator[DataProblem]:
    facet = taxonomy.facet(raw.facet)
    for label in _told(raw):
        try:
            facet.label(label)
        except TriageError as error:
            yield DataProblem(raw.line, f"labels.{facet.id}", error.detail)


def _told(raw: RawAnnotation) -> list[str]:
    """The labels, none if they are the word for that; tables have no other way to say it."""
    return [] if [label.casefold() for label in raw.labels] == [NOT_TOLD] else raw.labels


def _annotation(
    raw: RawAnnotation, default_annotator: str, default_origin: Origin | None, taxonomy: Taxonomy
) -> Annotation:
    annotator = raw.annotator or default_annotator
    if not annotator:
        raise RowError("annotator", "names nobody: say who gave the labels, --annotator")
    values = {name: value for name, value in raw.others.items() if value not in (None, "")}
    default = "model" if annotator.startswith("model:") else default_origin
    if values.setdefault("origin", default) is None:
        raise RowError("origin", "does not say who made the labels: --origin human (people), model or derived")
    try:
        if "created_at" in values:
            values["created_at"] = _MOMENT.validate_python(values["created_at"])
        return Annotation.model_validate(
            values
            | {
                "incident_id": raw.incident_id,
                "facet": raw.facet,
                "labels": taxonomy.canonical_answer(raw.facet, _told(raw)),
                "annotator": annotator,
            }
        )
    except ValidationError as error:
        raise rejection(error) from error
    except TriageError as error:
        raise RowError(f"labels.{raw.facet}", error.detail) from error


def _settling(annotation: Annotation, earlier: Mapping[int | None, Annotation]) -> Annotation:
    """The annotation with those of its `settles` that are `earlier` in the file. Raises `RowError` if none is."""
    settled = [known for n in annotation.settles if (known := earlier.get(n))]
    settles = tuple(each.id for each in settled if each.id is not None and _place(each) == _place(annotation))
    if annotation.settles and not settles:
        raise RowError(
            "settles",
            "names no annotation of this facet that is earlier in the file: export it again with --earlier, or leave "
            "the row out",
        )
    return annotation.model_copy(update={"settles": settles})


def _place(annotation: Annotation) -> tuple[str, str]:
    return annotation.incident_id, annotation.facet


def _nothing_found(source: Source) -> str:
    reasons = [f"{count} {what}" for what, count in (+source.left_out).items()]
    if source.ignored:
        facets = ", ".join(facet.id for facet in source.taxonomy.facets)
        questions = ", ".join(source.ignored)
        reasons.append(f"its questions {questions} are no facets ({facets}): name them with --rename QUESTION=FACET")
    return f"contains no annotation: {'; '.join(reasons)}" if reasons else "contains no annotation"


def _merged(problems: Sequence[DataProblem]) -> list[DataProblem]:
    """The same mistake on many lines as one problem."""
    lines: dict[tuple[str, str], list[int]] = {}
    for problem in sorted(problems):
        lines.setdefault((problem.field, problem.message), []).append(problem.line)
    merged = []
    for (field, message), (first, *others) in lines.items():
        shown = ", ".join(map(str, others[:_SHOWN_LINES]))
        more = f" and {len(others) - _SHOWN_LINES} more" if len(others) > _SHOWN_LINES else ""
        merged.append(DataProblem(first, field, f"{message} (also on lines {shown}{more})" if others else message))
    return sorted(merged)
