"""Label Studio's JSON export: tasks with annotations, whose Choices and Taxonomy results are labels.

Source: https://labelstud.io/guide/task_format and https://labelstud.io/tags/taxonomy
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from triage.domain.taxonomy import Taxonomy
from triage.intake.data_files import DataProblem, NumberedRow, Row, RowError
from triage.intake.raw_annotations import RawAnnotation, Source


def is_task(item: Mapping[str, Any]) -> bool:
    """True for a task of the export. Versions before 1.0 say `completions`."""
    return isinstance(item.get("data"), dict) and ("annotations" in item or "completions" in item)


def read(items: Sequence[NumberedRow], source: Source) -> Iterator[RawAnnotation | DataProblem]:
    """The labels of every annotation that was not skipped; a model's predictions are left out."""
    for line, task in items:
        source.left_out["predictions of a model"] += len(task.get("predictions") or ())
        annotations = [a for a in task.get("annotations") or task.get("completions") or () if isinstance(a, dict)]
        kept = [annotation for annotation in annotations if not annotation.get("was_cancelled")]
        source.left_out["skipped tasks"] += len(annotations) - len(kept)
        data = task.get("data") or {}
        try:
            incident_id = source.incident_id(data.get("incident_id", data.get("id")), data)
        except RowError as error:
            yield DataProblem(line, f"data.{error.field}", f"task {task.get('id')} {error}")
            continue
        for annotation in kept:
            try:
                yield from _read_annotation(line, incident_id, annotation, source)
            except RowError as error:
                yield DataProblem(line, error.field, f"task {task.get('id')}: {error}")


def _read_annotation(line: int, incident_id: str, annotation: Row, source: Source) -> Iterator[RawAnnotation]:
    labels: dict[str, dict[str, None]] = {}
    notes: list[str] = []
    for result in annotation.get("result") or ():
        value, name = result.get("value") or {}, str(result.get("from_name", ""))
        if isinstance(value.get("text"), list):
            notes += map(str, value["text"])
            continue
        paths = [[choice] for choice in value.get("choices") or ()] + list(value.get("taxonomy") or ())
        facet = source.facet(name)
        for path in paths if facet is not None else ():
            if not isinstance(path, list) or not path:
                raise RowError(name, f"has the value {path!r}, which is not a list of labels")
            for level, label in zip(_levels(source.taxonomy, str(facet), len(path)), path, strict=True):
                labels.setdefault(level, {})[str(label)] = None
    if not labels:
        source.left_out["annotations without labels"] += 1
    others = {
        "note": "\n".join(notes),
        "is_gold": bool(annotation.get("ground_truth")),
        "created_at": annotation.get("updated_at") or annotation.get("created_at"),
    }
    user = annotation.get("completed_by")
    annotator = source.annotator(user.get("email") or user.get("id") if isinstance(user, dict) else user)
    for facet_id, names in labels.items():
        yield RawAnnotation(line, incident_id, facet_id, list(names), annotator, others)


def _levels(taxonomy: Taxonomy, facet_id: str, depth: int) -> list[str]:
    """The facets of a Taxonomy path's levels, parents first."""
    levels = [taxonomy.facet(facet_id)]
    if depth == 1:
        return [facet_id]
    while (parent := levels[0].parent) is not None:
        levels.insert(0, taxonomy.facet(parent))
    while len(levels) < depth:
        below = [facet for facet in taxonomy.facets if facet.parent == levels[-1].id]
        if len(below) != 1:
            raise RowError(facet_id, f"has a path of {depth} labels, but its facets are {len(levels)} deep")
        levels.append(below[0])
    return [facet.id for facet in levels[:depth]]
