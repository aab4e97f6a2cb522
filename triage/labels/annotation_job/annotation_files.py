"""Import and export of annotations."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from triage.domain.annotation import Annotation
from triage.domain.errors import Conflict
from triage.domain.incident import Incident, content_id
from triage.domain.taxonomy import Facet, Taxonomy
from triage.history.casebook import Casebook
from triage.intake.annotations import AnnotationReading
from triage.intake.data_files import BETWEEN_LABELS, DataProblem, InvalidDataset
from triage.render.atomic_write import write_atomically
from triage.store import Store

_COLUMNS = (
    "incident_id",
    "facet",
    "labels",
    "annotator",
    "origin",
    "is_gold",
    "note",
    "created_at",
    "saw_model",
    "confirms",
    "settles",
    "id",
)


class AnnotationImport(NamedTuple):
    """Counts of an import: annotations in the file, new ones among them, and new incidents."""

    annotations: int
    new: int
    new_incidents: int


async def import_incidents(incidents: Sequence[Incident], store: Store, taxonomy: Taxonomy) -> int:
    """Store incidents without triaging them, and return how many are new.

    Raises `Conflict` if an id is stored with another text.
    """
    by_id = {incident.id: incident for incident in incidents}
    stored = await store.incidents.find_many(by_id)
    for key, known in stored.items():
        stored_content, content = (content_id(i.title, i.write_up) for i in (known.incident, by_id[key]))
        if content != stored_content:
            raise Conflict(f"Incident {key!r} is stored with another text. Use a different id.", id=key)
    new = {key: incident for key, incident in by_id.items() if key not in stored}
    await store.record([], imported=new, taxonomy=taxonomy.id)
    return len(new)


async def import_annotations(
    path: Path, reading: AnnotationReading, casebook: Casebook, store: Store
) -> AnnotationImport:
    """Store the annotations read from `path`, all or none.

    Raises `InvalidDataset` with the lines whose incident is neither stored nor in the file with its text.
    """
    ids = {annotation.incident_id for annotation in reading.annotations}
    stored = await store.incidents.find_many(ids)
    lines: dict[str, int] = {}
    for line, annotation in reading.numbered:
        if annotation.incident_id not in stored and annotation.incident_id not in reading.incidents:
            lines.setdefault(annotation.incident_id, line)
    if lines:
        fix = "import or post it first, or add its title and write_up to the file"
        problems = [DataProblem(n, "incident_id", f"unknown incident {key!r}: {fix}") for key, n in lines.items()]
        raise InvalidDataset(path, problems)
    new = await casebook.import_annotations(reading.annotations, reading.incidents)
    return AnnotationImport(len(reading.numbered), new, len(ids - set(stored)))


def csv_rows(annotations: Iterable[Annotation]) -> Iterator[str]:
    """A header and one CSV line per annotation, in the form that `read_annotations` reads."""
    yield _csv_line(_COLUMNS)
    for annotation in annotations:
        values = annotation.model_dump(mode="json")
        values |= {"labels": BETWEEN_LABELS.join(annotation.answer)}
        values |= {"settles": BETWEEN_LABELS.join(map(str, annotation.settles))}
        yield _csv_line([values[name] for name in _COLUMNS])


def _csv_line(cells: Sequence[object]) -> str:
    line = io.StringIO(newline="")
    # With this line end, a cell that holds either kind of line end is quoted, as in `triage.render.tables`.
    csv.writer(line, lineterminator="\r\n").writerow(cells)
    return line.getvalue()


def write_annotations(annotations: Iterable[Annotation], path: Path) -> None:
    """Write annotations as JSON Lines, whole or not at all."""
    write_atomically(path, "".join(json_lines(annotations)))


def json_lines(annotations: Iterable[Annotation]) -> Iterator[str]:
    """One line of JSON with all fields per annotation."""
    return (annotation.model_dump_json() + "\n" for annotation in annotations)


def label_studio_tasks(
    annotations: Sequence[Annotation], incidents: Mapping[str, Incident], taxonomy: Taxonomy
) -> list[dict[str, Any]]:
    """Annotations as Label Studio tasks: one per incident, with one annotation per annotator.

    To show them, a Label Studio project needs one Choices tag per facet, named like the facet, with toName `text` and
    label ids as choices.
    """
    by_incident: dict[str, dict[str, list[Annotation]]] = {}
    for annotation in annotations:
        by_incident.setdefault(annotation.incident_id, {}).setdefault(annotation.annotator, []).append(annotation)
    return [
        {
            "data": {"incident_id": key, "title": incidents[key].title, "text": incidents[key].write_up},
            "annotations": [
                {
                    "completed_by": {"email": annotator},
                    "was_cancelled": False,
                    "ground_truth": all(a.is_gold for a in labels),
                    "created_at": min(a.created_at for a in labels).isoformat(),
                    "result": [result for a in labels for result in _results(a, taxonomy.facet(a.facet))],
                }
                for annotator, labels in by_annotator.items()
            ],
        }
        for key, by_annotator in by_incident.items()
    ]


def _results(annotation: Annotation, facet: Facet) -> Iterator[dict[str, Any]]:
    place = {"to_name": "text", "id": f"{annotation.id}", "origin": "manual"}
    yield {**place, "from_name": facet.id, "type": "choices", "value": {"choices": list(annotation.answer)}}
    if annotation.note:
        yield {**place, "from_name": f"{facet.id}_note", "type": "textarea", "value": {"text": [annotation.note]}}
