"""What comes out of the store."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from pydantic import AwareDatetime, BaseModel

from triage.domain.enums import Status
from triage.domain.incident import Incident
from triage.domain.principal import DEFAULT_TEAM, SHARED_TEAM
from triage.domain.triage_result import Triage

__all__ = ["DEFAULT_TEAM", "SHARED_TEAM", "Listed", "Page", "Pending", "Posted", "StoredIncident"]


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


class Posted(Listed, frozen=True):
    """An incident that was to be triaged, in a list. `degraded` is that of its latest triage, None without one."""

    retry_at: AwareDatetime | None
    degraded: bool | None


class Page(BaseModel, frozen=True):
    """Some incidents, newest first, and the cursor of the next page (None on the last)."""

    incidents: tuple[Listed, ...]
    next_cursor: str | None


class Finished(NamedTuple):
    """A triage that is stored; `document` is the whole of it as JSON."""

    incident_id: str
    degraded: bool
    created_at: datetime
    document: str


class Made(NamedTuple):
    """A triage of an incident, and the run that made it."""

    run_id: str
    triage: Triage


class Recent(NamedTuple):
    """An incident with its latest triage; `document` is the whole of that as JSON."""

    incident: Incident
    team: str
    document: str


class FinishedPage(NamedTuple):
    """Some triages, first stored first, and the cursor behind the last of them."""

    triages: tuple[Finished, ...]
    next_cursor: str
    has_more: bool


class Labelled(NamedTuple):
    """How far the annotations of an incident have got: their number, and the id of the last."""

    number: int
    last: int


class Wanted(NamedTuple):
    """Which incidents a list is to hold; None stands for any. `since` and `until` bound when they came in.

    `degraded` asks for those whose latest triage is, or is not, degraded.
    """

    status: Status | None = None
    teams: Collection[str] | None = None
    service: str | None = None
    severity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    degraded: bool | None = None

    def within(self, teams: Collection[str] | None) -> Wanted:
        """The same, of these teams' incidents alone; None stands for all teams."""
        if teams is None:
            return self
        return self._replace(teams=teams if self.teams is None else set(teams) & set(self.teams))


class Pending(NamedTuple):
    """An incident that waits for its triage; `attempt` counts the attempts that failed before."""

    id: str
    attempt: int
