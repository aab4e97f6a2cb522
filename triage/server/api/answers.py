"""What the API answers with, and how long it may wait for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from fastapi import Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Annotation
from triage.domain.enums import Status
from triage.domain.incident import Incident
from triage.domain.principal import DEFAULT_TEAM
from triage.domain.triage_result import Neighbour
from triage.store import StoredIncident

RETRY_AFTER_S = 2


class Links(BaseModel, frozen=True):
    """Where to go from an incident."""

    incident: str
    triage: str
    annotations: str


class IncidentStatus(BaseModel, frozen=True):
    """How far an incident is. A failed one with `retry_at` is tried again by itself."""

    id: str
    team: str = DEFAULT_TEAM
    status: Status
    taxonomy: str
    attempts: int = Field(description="Attempts that failed so far.")
    failure: str | None = None
    retry_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    links: Links

    @classmethod
    def of(cls, stored: StoredIncident) -> IncidentStatus:
        """The status of a stored incident."""
        values = {name: getattr(stored, name) for name in cls.model_fields if name not in ("id", "links")}
        return cls(id=stored.incident.id, links=links(stored.incident.id), **values)


class IncidentAnswer(IncidentStatus, frozen=True):
    """An incident as it was posted, and how far it is."""

    incident: Incident

    @classmethod
    def of(cls, stored: StoredIncident) -> IncidentAnswer:
        """The answer for a stored incident."""
        return cls(incident=stored.incident, **IncidentStatus.of(stored).model_dump())


class Annotations(BaseModel, frozen=True):
    """Annotations of one incident, oldest first."""

    annotations: tuple[Annotation, ...]


class Neighbours(BaseModel, frozen=True):
    """Incidents of the history, most similar first."""

    neighbours: tuple[Neighbour, ...]


class TaxonomySummary(BaseModel, frozen=True):
    """A taxonomy in a list."""

    id: str
    version: str
    title: str
    facets: tuple[str, ...]
    is_in_use: bool


class Taxonomies(BaseModel, frozen=True):
    """The taxonomies that can be read; the one in use is what incidents are triaged with."""

    taxonomies: tuple[TaxonomySummary, ...]


class CheckResult(BaseModel, frozen=True):
    """The state of one part of the service."""

    is_ok: bool
    is_required: bool
    detail: str


class Readiness(BaseModel, frozen=True):
    """Whether the service can do its work: every required part is fine."""

    is_ready: bool
    checks: dict[str, CheckResult]


def links(incident_id: str) -> Links:
    """The places of an incident."""
    place = f"/v1/incidents/{quote(incident_id, safe='')}"
    return Links(incident=place, triage=f"{place}/triage", annotations=f"{place}/annotations")


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A model as a JSON response."""
    return raw_answer(model.model_dump_json(), status, headers)


def raw_answer(document: str, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON document as a response."""
    return Response(document, status, dict(headers or {}), media_type="application/json")


def preferred_wait(request: Request, limit_s: float) -> float | None:
    """The seconds of `Prefer: wait=N` (RFC 7240), at most `limit_s`; None without one that can be understood."""
    for preference in ",".join(request.headers.getlist("prefer")).split(","):
        match = re.fullmatch(r'\s*wait\s*=\s*"?(\d{1,9})"?\s*(?:;.*)?', preference, re.IGNORECASE)
        if match:
            return min(float(match[1]), limit_s)
    return None
