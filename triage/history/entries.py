"""Entries of the index, and how they become neighbours and examples together with their texts."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.triage_result import Neighbour
from triage.history import Example
from triage.history.duplicates import is_near_duplicate
from triage.history.texts import IncidentText
from triage.models.embedding import Vectors

_EXCERPT_CHARACTERS = 280
_NO_VECTOR: Vectors = np.empty(0, dtype=np.float32)


class Entry(NamedTuple):
    """What the index holds of an incident; `vector` has shape (dimension,), and is None unless asked for."""

    team: str
    labels: Labels
    vector: Vectors | None = None


class Found(NamedTuple):
    """An entry found by a search, with its cosine distance."""

    incident_id: str
    distance: float
    metadata: dict[str, Any]


def edition(incident_id: str, metadata: dict[str, Any]) -> tuple[str, str]:
    """The incident, and the edition of its text that the entry belongs to."""
    return incident_id, metadata["edition"]


def metadata_of(incident: Incident, labels: Labels) -> dict[str, str | float]:
    """What the index holds of an incident beside its vector, as a new edition."""
    metadata: dict[str, str | float] = {
        "incident_id": incident.id,
        "labels": json.dumps(labels),
        "edition": uuid.uuid4().hex[:16],
    }
    if incident.started_at is not None:
        metadata["occurred_at"] = incident.started_at.isoformat()
    if incident.ttm_minutes is not None:
        metadata["ttm_minutes"] = incident.ttm_minutes
    if incident.ttm_until is not None:
        metadata["ttm_until"] = incident.ttm_until
    return metadata


def read_neighbour(row: Found, found: IncidentText, text: str) -> Neighbour:
    """A found incident, whose text is `found`, as a neighbour of `text`."""
    return as_neighbour(read_example(row.incident_id, found, _NO_VECTOR, row.metadata), 1 - row.distance, text)


def as_neighbour(example: Example, similarity: float, text: str) -> Neighbour:
    """An incident of the history as a neighbour of `text`."""
    return Neighbour(
        incident_id=example.incident_id,
        title=example.title,
        url=example.url,
        excerpt=example.text.removeprefix(example.title).strip()[:_EXCERPT_CHARACTERS],
        similarity=similarity,
        labels=example.labels,
        occurred_at=example.occurred_at,
        ttm_minutes=example.ttm_minutes,
        ttm_until=example.ttm_until,
        is_near_duplicate=is_near_duplicate(text, example.text),
    )


def read_example(incident_id: str, text: IncidentText, vector: Vectors, metadata: dict[str, Any]) -> Example:
    """An incident with its text and vector as an example to learn from."""
    return Example(
        incident_id=incident_id,
        text=text.text,
        vector=vector,
        labels=read_labels(metadata["labels"]),
        title=text.title,
        url=text.url,
        occurred_at=began_at(metadata),
        ttm_minutes=metadata.get("ttm_minutes"),
        ttm_until=metadata.get("ttm_until"),
    )


def began_at(metadata: dict[str, Any]) -> datetime | None:
    """When the incident began; None if unknown."""
    moment = metadata.get("occurred_at")
    return datetime.fromisoformat(moment) if moment else None


def had_begun(occurred_at: datetime | None, as_of: datetime | None) -> bool:
    """True if it began before `as_of`, or if `as_of` is None. False if its time is unknown."""
    return as_of is None or (occurred_at is not None and occurred_at < as_of)


def read_labels(written: str) -> Labels:
    """The labels of `metadata_of`."""
    return dict(_parsed(written))


@lru_cache(maxsize=4_096)  # labels are few, incidents many
def _parsed(written: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((facet, tuple(ids)) for facet, ids in json.loads(written).items())
