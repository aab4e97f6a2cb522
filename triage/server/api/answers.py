"""Answers that several endpoints share."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

from fastapi import Response
from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Annotation
from triage.domain.enums import Status
from triage.domain.incident import Incident
from triage.domain.principal import DEFAULT_TEAM
from triage.store import StoredIncident


class Links(BaseModel, frozen=True):
    """The paths of an incident."""

    incident: str
    triage: str
    annotations: str


class IncidentStatus(BaseModel, frozen=True):
    """The state of an incident. A failed one with `retry_at` is retried automatically."""

    id: str
    team: str = DEFAULT_TEAM
    status: Status
    taxonomy: str
    attempts: int = Field(description="Failed attempts so far.")
    failure: str | None = None
    retry_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    links: Links

    @classmethod
    def of(cls, stored: StoredIncident) -> IncidentStatus:
        """The state of a stored incident."""
        values = {name: getattr(stored, name) for name in cls.model_fields if name not in ("id", "links")}
        return cls(id=stored.incident.id, links=links(stored.incident.id), **values)


class IncidentAnswer(IncidentStatus, frozen=True):
    """An incident as posted, and its state."""

    incident: Incident

    @classmethod
    def of(cls, stored: StoredIncident) -> IncidentAnswer:
        """The answer for a stored incident."""
        return cls(incident=stored.incident, **IncidentStatus.of(stored).model_dump())


class Annotations(BaseModel, frozen=True):
    """Annotations of one incident, oldest first."""

    annotations: tuple[Annotation, ...]


def links(incident_id: str) -> Links:
    """The paths of an incident."""
    path = f"/v1/incidents/{quote(incident_id, safe='')}"
    return Links(incident=path, triage=f"{path}/triage", annotations=f"{path}/annotations")


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A model as a JSON response."""
    return raw_answer(model.model_dump_json(), status, headers)


def raw_answer(document: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document as a response."""
    return Response(document, status, dict(headers or {}), media_type="application/json")
