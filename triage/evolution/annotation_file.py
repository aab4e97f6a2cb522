"""Annotations from JSON Lines, one object of `triage.annotation.Annotation` a line."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from triage.annotation import Annotation
from triage.errors import TriageError
from triage.intake.rows import DataProblem, InvalidDataset, read_rows, rejection
from triage.taxonomy import Taxonomy


def read_annotations(path: Path, taxonomy: Taxonomy) -> list[Annotation]:
    """The annotations of a file in its order, with their labels in canonical form.

    Raises `NotFound`, or `InvalidDataset` with line and field of every mistake, an unknown label being one.
    """
    rows, problems, _ = read_rows(path)
    found: list[Annotation] = []
    for line, row in rows:
        try:
            annotation = Annotation.model_validate(row)
            labels = taxonomy.canonical(annotation.facet, annotation.labels)
        except ValidationError as error:
            first = rejection(error)
            problems.append(DataProblem(line, first.field, str(first)))
        except TriageError as error:
            problems.append(DataProblem(line, str(error.data.get("field", "labels")), error.detail))
        else:
            found.append(annotation.model_copy(update={"labels": labels}))
    if problems:
        raise InvalidDataset(path, sorted(problems))
    return found


def write_annotations(annotations: Iterable[Annotation], path: Path) -> None:
    """Write annotations, whole or not at all."""
    whole = path.with_name(f"{path.name}.tmp")
    whole.write_text("".join(f"{annotation.model_dump_json()}\n" for annotation in annotations), encoding="utf-8")
    whole.replace(path)
