"""Between rows and the domain's objects."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import numpy as np
from sqlalchemy import Row

from triage.domain.annotation import Annotation, Labels
from triage.domain.errors import InvalidInput
from triage.domain.incident import Incident
from triage.domain.triage_result import Triage
from triage.models.embedding import Vectors
from triage.store.records import Listed, Posted, StoredIncident
from triage.store.tables import annotation_table, incident_table

LIST_COLUMNS = [incident_table.c.seq, *(incident_table.c[name] for name in Listed.model_fields)]
ANNOTATION_COLUMNS = [annotation_table.c[name] for name in Annotation.model_fields]


def incident_values(incident: Incident) -> dict[str, Any]:
    """An incident as column values."""
    return incident.model_dump()


def read_incident(row: Row[Any]) -> Incident:
    """The incident of a row. Not validated again: what was accepted once stays readable under stricter rules."""
    return Incident.model_construct(**{name: getattr(row, name) for name in Incident.model_fields})


def read_stored(row: Row[Any]) -> StoredIncident:
    """The incident of a row with what became of it."""
    own = {name: getattr(row, name) for name in StoredIncident.model_fields if name != "incident"}
    return StoredIncident.model_construct(incident=read_incident(row), **own)


def read_listed(row: Row[Any]) -> Listed:
    """The incident of a row for a list."""
    return Listed.model_construct(**{name: getattr(row, name) for name in Listed.model_fields})


def read_posted(row: Row[Any]) -> Posted:
    """The incident of a row for a list of what was to be triaged."""
    return Posted.model_construct(**{name: getattr(row, name) for name in Posted.model_fields})


def annotation_values(annotation: Annotation) -> dict[str, Any]:
    """An annotation as column values, without its id."""
    return annotation.model_dump(exclude={"id"}) | {"settles": list(annotation.settles) or None}


def read_annotation(row: Row[Any]) -> Annotation:
    """The annotation of a row."""
    values = {name: getattr(row, name) for name in Annotation.model_fields}
    own = {"labels": tuple(row.labels), "settles": tuple(row.settles or ())}
    return Annotation.model_construct(**(values | own))


def write_vector(vector: Vectors) -> bytes:
    """A vector as little-endian float32."""
    return np.ascontiguousarray(vector, dtype="<f4").tobytes()


def read_vector(content: bytes) -> Vectors:
    """The vector of `write_vector`."""
    return np.frombuffer(content, dtype="<f4").astype(np.float32)


def said_by_model(document: str) -> list[Annotation]:
    """The labels of a stored triage as annotations of `model:<name>`, or `model:none` where it runs without one.

    Where it abstained there is none, and none of a degraded triage: its labels are not those of its model.
    """
    triage = Triage.model_validate_json(document)
    if triage.degraded:
        return []
    return [
        Annotation(
            incident_id=triage.incident_id,
            facet=facet,
            labels=result.labels,
            annotator=f"model:{triage.provenance.model or 'none'}",
            origin="model",
            created_at=triage.created_at,
        )
        for facet, result in triage.facets.items()
        if result.labels
    ]


def gold_labels(golds: Iterable[Row[Any]]) -> dict[str, Labels]:
    """Incident id -> its gold labels, from rows of gold annotations: the last of a facet wins."""
    labels: dict[str, Labels] = {}
    for row in golds:
        labels.setdefault(row.incident_id, {})[row.facet] = tuple(row.labels)
    return labels


def write_cursor(seq: int) -> str:
    """An opaque place in the list of incidents."""
    return base64.urlsafe_b64encode(f"v1:{seq}".encode()).decode().rstrip("=")


def read_cursor(cursor: str) -> int:
    """The place of `write_cursor`. Raises `InvalidInput` for anything else."""
    try:
        content = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        version, _, seq = content.partition(":")
        if version == "v1" and seq.isdigit() and len(seq) < 19:
            return int(seq)
    except ValueError:
        pass
    raise InvalidInput(
        "The cursor is not one that this service gave: use `next_cursor` of the page before, or leave it out.",
        field="cursor",
    )
