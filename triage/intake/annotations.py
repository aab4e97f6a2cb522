"""Annotations made elsewhere: our own CSV and JSON Lines, Label Studio and Argilla exports, told apart by content."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput, NotFound, TriageError
from triage.domain.incident import Incident, Moment
from triage.domain.taxonomy import Taxonomy
from triage.intake import argilla, label_studio
from triage.intake.json_items import Item, json_items
from triage.intake.opinions import Opinion, Source
from triage.intake.rows import DataProblem, InvalidDataset, RowError, rejection

BETWEEN_LABELS = ";"

_MOMENT = TypeAdapter[Any](Moment)
_OTHERS = ("note", "is_gold", "origin", "created_at", "saw_model")
_SHOWN_LINES = 5


class Given(NamedTuple):
    """An annotation, and the line of the file where it stands."""

    line: int
    annotation: Annotation


class AnnotationReading(NamedTuple):
    """What a file of annotations holds.

    `incidents` are those whose text stands in the file, by id. `left_out` counts what was not taken for a reason of the
    file itself (skipped tasks, drafts, predictions of a model); `ignored` names what is used for nothing.
    """

    given: tuple[Given, ...]
    incidents: Mapping[str, Incident]
    left_out: Mapping[str, int]
    ignored: tuple[str, ...]

    @property
    def annotations(self) -> list[Annotation]:
        """Without their lines, in the order of the file."""
        return [one.annotation for one in self.given]


def read_annotations(
    path: Path,
    taxonomy: Taxonomy,
    *,
    annotator: str = "",
    facet: str = "",
    renamed: Mapping[str, str] | None = None,
) -> AnnotationReading:
    """The annotations of a file, with their labels in canonical form, in the order of the file.

    `annotator` is who gave those that name nobody, `facet` what a question without a name is about. `renamed` gives
    other words for those of the file: for annotators, and for questions that are facets under another name. Raises
    `NotFound`, or `InvalidDataset` with line and field of every mistake; unknown labels come with the nearest one.
    """
    text = _text(path)
    source = Source(taxonomy, renamed or {}, taxonomy.facet(facet).id if facet else "")
    found = _from_csv(text, source) if path.suffix.lower() == ".csv" else _from_json(text, source)
    problems: list[DataProblem] = []
    given: list[Given] = []
    for opinion in found:
        if isinstance(opinion, DataProblem):
            problems.append(opinion)
            continue
        unknown = list(_unknown_labels(opinion, taxonomy))
        problems += unknown
        try:
            if not unknown:
                given.append(Given(opinion.line, _annotation(opinion, annotator, taxonomy)))
        except RowError as error:
            problems.append(DataProblem(opinion.line, error.field, str(error)))
    if not given and not problems:
        problems.append(DataProblem(1, "", _nothing(source)))
    if problems:
        raise InvalidDataset(path, _gathered(problems))
    return AnnotationReading(tuple(given), source.incidents, +source.left_out, tuple(source.ignored))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError as error:
        raise NotFound(f"There is no file {path}.", path=str(path)) from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{path} is a folder: name the file of annotations.", field="file") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text (byte {error.start}): save it as UTF-8.", field="file") from error


def _from_csv(text: str, source: Source) -> Iterator[Opinion | DataProblem]:
    """A row for each annotation (columns `facet` and `labels`), or a row for each incident and a column per facet."""
    reader = csv.DictReader(io.StringIO(text, newline=""))
    for row in reader:
        if None in row:
            yield DataProblem(reader.line_num, "", "has more cells than the header has columns")
            continue
        cells: dict[str, Any] = {name.strip(): value.strip() for name, value in row.items() if value and value.strip()}
        names = {name.strip() for name in row}
        if "facet" in names:
            cells["labels"] = _split(cells.get("labels", cells.pop("label", "")))
        else:
            facets = [name for name in cells if source.is_facet(name)]
            cells["labels"] = {name: _split(cells.pop(name)) for name in facets}
        yield from _of_row(reader.line_num, cells, source)


def _from_json(text: str, source: Source) -> Iterator[Opinion | DataProblem]:
    items, problems = json_items(text)
    yield from problems
    items = _unfolded(items)
    forms = {"Label Studio": label_studio.is_task, "Argilla": argilla.is_record}
    form = next((name for name, fits in forms.items() if any(fits(item) for _, item in items)), "")
    if form == "Label Studio":
        yield from label_studio.opinions(items, source)
    elif form == "Argilla":
        yield from argilla.opinions(items, source)
    else:
        for line, row in items:
            yield from _of_row(line, row, source)


def _unfolded(items: Sequence[Item]) -> list[Item]:
    """Records out of one object of columns, or of records by id, as Argilla's `to_dict` makes them."""
    if len(items) != 1 or any(fits(items[0][1]) for fits in (label_studio.is_task, argilla.is_record)):
        return list(items)
    line, whole = items[0]
    values = list(whole.values())
    if values and all(isinstance(value, dict) and argilla.is_record(value) for value in values):
        return [(line, {"id": key, **value}) for key, value in whole.items()]
    if isinstance(whole.get("responses"), list) and all(isinstance(value, list) for value in values):
        return [(line, dict(zip(whole, row, strict=True))) for row in zip(*values, strict=False)]
    return list(items)


def _of_row(line: int, row: Mapping[str, Any], source: Source) -> Iterator[Opinion | DataProblem]:
    """Our own form: one annotation, or all of one annotator about one incident where `labels` is an object."""
    try:
        incident_id = source.incident_id(row.get("incident_id", row.get("id")), row)
    except RowError as error:
        yield DataProblem(line, error.field, str(error))
        return
    labels = row.get("labels")
    by_facet = labels if isinstance(labels, dict) else {str(row.get("facet", "")): labels}
    if not any(by_facet.values()):
        source.left_out["rows without labels"] += 1
        return
    others = {name: row[name] for name in _OTHERS if row.get(name) is not None}
    annotator = source.annotator(row.get("annotator"))
    for facet, names in by_facet.items():
        if not source.is_facet(facet):
            known = ", ".join(each.id for each in source.taxonomy.facets)
            yield DataProblem(line, "facet", f"{facet!r} is no facet of {source.taxonomy.id!r}. It has: {known}")
            continue
        given = names if isinstance(names, list) else [names]
        yield Opinion(line, incident_id, str(source.facet(facet)), [str(name) for name in given], annotator, others)
    used = {*_OTHERS, "incident_id", "annotator", "labels", "facet", "title", "write_up", "text", "body"}
    used |= {"id", "settles"}
    source.ignored |= dict.fromkeys(name for name in row if name not in used)


def _split(cell: str) -> list[str]:
    return [label.strip() for label in cell.split(BETWEEN_LABELS) if label.strip()]


def _unknown_labels(opinion: Opinion, taxonomy: Taxonomy) -> Iterator[DataProblem]:
    facet = taxonomy.facet(opinion.facet)
    for label in opinion.labels:
        try:
            facet.label(label)
        except TriageError as error:
            yield DataProblem(opinion.line, f"labels.{facet.id}", error.detail)


def _annotation(opinion: Opinion, otherwise_by: str, taxonomy: Taxonomy) -> Annotation:
    annotator = opinion.annotator or otherwise_by
    if not annotator:
        raise RowError("annotator", "names nobody: say who gave the labels, --annotator")
    values = {name: value for name, value in opinion.others.items() if value not in (None, "")}
    if annotator.startswith("model:"):
        values.setdefault("origin", "model")
    try:
        if "created_at" in values:
            values["created_at"] = _MOMENT.validate_python(values["created_at"])
        return Annotation.model_validate(
            values
            | {
                "incident_id": opinion.incident_id,
                "facet": opinion.facet,
                "labels": taxonomy.canonical(opinion.facet, opinion.labels),
                "annotator": annotator,
            }
        )
    except ValidationError as error:
        raise rejection(error) from error
    except TriageError as error:
        raise RowError(f"labels.{opinion.facet}", error.detail) from error


def _nothing(source: Source) -> str:
    reasons = [f"{count} {what}" for what, count in (+source.left_out).items()]
    if source.ignored:
        facets = ", ".join(facet.id for facet in source.taxonomy.facets)
        questions = ", ".join(source.ignored)
        reasons.append(f"its questions {questions} are no facets ({facets}): name them with --rename QUESTION=FACET")
    return f"holds no annotation: {'; '.join(reasons)}" if reasons else "holds no annotation"


def _gathered(problems: Sequence[DataProblem]) -> list[DataProblem]:
    """The same mistake on many lines told once."""
    lines: dict[tuple[str, str], list[int]] = {}
    for problem in sorted(problems):
        lines.setdefault((problem.field, problem.message), []).append(problem.line)
    gathered = []
    for (field, message), (first, *others) in lines.items():
        shown = ", ".join(map(str, others[:_SHOWN_LINES]))
        more = f" and {len(others) - _SHOWN_LINES} more" if len(others) > _SHOWN_LINES else ""
        gathered.append(DataProblem(first, field, f"{message} (also on lines {shown}{more})" if others else message))
    return sorted(gathered)
