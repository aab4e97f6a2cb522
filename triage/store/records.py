"""What comes out of the store."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel

from triage.access import DEFAULT_TEAM, SHARED_TEAM
from triage.incident import Incident

__all__ = ["DEFAULT_TEAM", "SHARED_TEAM", "Listed", "Page", "Pending", "Status", "StoredIncident"]

Status = Literal["pending", "triaged", "failed", "imported"]
"""`pending`: accepted, triage is queued or running. `failed`: the last attempt failed, see `StoredIncident.failure`.
`imported`: came in with its labels, as history, and was never asked to be triaged."""


class StoredIncident(BaseModel, frozen=True):
    """An incident with what became of it. `retry_at` is None for a failed one that is not tried again by itself."""

    incident: Incident
    taxonomy: str
    status: Status
    attempts: int = 0
    failures: int = 0
    failure: str | None = None
    retry_at: AwareDatetime | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    team: str = DEFAULT_TEAM


class Listed(BaseModel, frozen=True):
    """An incident in a list: without its write-up."""

    id: str
    title: str
    source: str
    service: str
    severity: str
    url: str
    status: Status
    taxonomy: str
    started_at: AwareDatetime | None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    team: str = DEFAULT_TEAM


class Page(BaseModel, frozen=True):
    """Some incidents, newest first, and the cursor of the next page (None on the last)."""

    incidents: tuple[Listed, ...]
    next_cursor: str | None


class Pending(NamedTuple):
    """An incident that waits for its triage; `attempt` counts the attempts that failed before."""

    id: str
    attempt: int
