"""Stored incidents: accepted or imported, found by id, listed, and deleted with everything that belongs to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import ColumnElement, ScalarSelect, Select, exists, select, union_all
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.enums import Status
from triage.domain.errors import NotFound
from triage.domain.incident import Incident
from triage.domain.principal import DEFAULT_TEAM
from triage.store.audit import write_audit
from triage.store.cursor import read_cursor, write_cursor
from triage.store.database import Database, chunks, insert, read_row
from triage.store.index_marks import write_marks
from triage.store.tables import (
    annotation_table,
    assignment_table,
    in_teams,
    incident_table,
    notification_table,
    provisional_table,
    serving_table,
    triage_table,
    vector_table,
)

_id = incident_table.c.id
_BELONGING = (
    annotation_table,
    assignment_table,
    serving_table,
    triage_table,
    provisional_table,
    vector_table,
    notification_table,
)


class StoredIncident(BaseModel, frozen=True):
    """An incident and its state. `retry_at` is None for a failed one that is not retried automatically."""

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
    """An incident that was posted for triage, in a list. `degraded` is that of its latest triage, None without one."""

    retry_at: AwareDatetime | None
    degraded: bool | None


class Page(BaseModel, frozen=True):
    """Some incidents, newest first, and the cursor of the next page (None on the last)."""

    incidents: tuple[Listed, ...]
    next_cursor: str | None


class IncidentQuery(NamedTuple):
    """Which incidents to list; None stands for any. `since` and `until` bound when they were stored.

    `degraded` selects those whose latest triage is, or is not, degraded.
    """

    status: Status | None = None
    teams: Collection[str] | None = None
    service: str | None = None
    severity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    degraded: bool | None = None

    def within(self, teams: Collection[str] | None) -> IncidentQuery:
        """The same filter for incidents of these teams only; None stands for all teams."""
        if teams is None:
            return self
        return self._replace(teams=teams if self.teams is None else set(teams) & set(self.teams))


LIST_COLUMNS = [incident_table.c.seq, *(incident_table.c[name] for name in Listed.model_fields)]


@dataclass
class Incidents:
    """All incidents."""

    database: Database

    async def add(self, incident: Incident, taxonomy: str, team: str = DEFAULT_TEAM) -> bool:
        """Accept an incident of `team` for triage. Does nothing and returns False if the id is taken."""
        values = _accepted(incident, taxonomy, team, datetime.now(UTC))
        try:
            async with self.database.write() as connection:
                if await _exists(connection, incident.id):
                    return False
                await connection.execute(incident_table.insert().values(values))
                return True
        except IntegrityError:
            # Another process was faster (PostgreSQL; SQLite lets one writer in at a time).
            return False

    async def add_many(self, incidents: Sequence[Incident], taxonomy: str, team: str = DEFAULT_TEAM) -> set[str]:
        """Accept incidents of `team` for triage, in one transaction. Returns the ids of the new ones.

        Of several incidents with one id the first counts.
        """
        if not incidents:
            return set()
        now = datetime.now(UTC)
        values: dict[str, dict[str, Any]] = {}
        for incident in incidents:
            values.setdefault(incident.id, _accepted(incident, taxonomy, team, now))
        async with self.database.write() as connection:
            new = (
                insert(connection.dialect.name, incident_table).on_conflict_do_nothing().returning(incident_table.c.id)
            )
            return set((await connection.execute(new, [*values.values()])).scalars())

    async def find(self, incident_id: str) -> StoredIncident | None:
        """The incident with this id, or None."""
        return (await self.find_many([incident_id])).get(incident_id)

    async def get(self, incident_id: str) -> StoredIncident:
        """The incident with this id. Raises `NotFound`."""
        found = await self.find(incident_id)
        if found is None:
            raise _not_found(incident_id)
        return found

    async def find_many(self, incident_ids: Collection[str]) -> dict[str, StoredIncident]:
        """The incidents with these ids, by id; missing ones are left out."""
        rows = await self.database.rows_of(incident_ids, lambda chunk: select(incident_table).where(_id.in_(chunk)))
        return {row.id: read_row(StoredIncident, row, incident=read_row(Incident, row)) for row in rows}

    async def find_listed(self, incident_ids: Collection[str]) -> dict[str, Listed]:
        """The incidents with these ids, by id, without their write-ups; missing ones are left out."""
        rows = await self.database.rows_of(incident_ids, lambda chunk: select(*LIST_COLUMNS).where(_id.in_(chunk)))
        return {row.id: read_row(Listed, row) for row in rows}

    async def find_team(self, incident_id: str) -> str | None:
        """The team of an incident, or None if there is no such incident."""
        return (await self.find_teams([incident_id])).get(incident_id)

    async def find_teams(self, incident_ids: Collection[str]) -> dict[str, str]:
        """Incident id -> team; missing incidents are left out."""
        async with self.database.read() as connection:
            return await read_teams(connection, incident_ids)

    async def find_cursor(self, incident_id: str) -> str | None:
        """The cursor of everything older than an incident, for every list that is newest first; None if there is no
        such incident."""
        seq = await self.database.value(select(incident_table.c.seq).where(incident_table.c.id == incident_id))
        return None if seq is None else write_cursor(seq)

    async def list_ids(self, status: Status | None = None) -> Sequence[str]:
        """The ids of all incidents, or of those with this status, oldest first."""
        query = select(incident_table.c.id).order_by(incident_table.c.seq)
        return await self.database.values(query if status is None else query.where(incident_table.c.status == status))

    async def list(self, limit: int, cursor: str | None = None, filters: IncidentQuery | None = None) -> Page:
        """Incidents, newest first. Raises `InvalidInput` for an invalid cursor."""
        query = select(*LIST_COLUMNS).order_by(incident_table.c.seq.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(incident_table.c.seq < read_cursor(cursor))
        if filters is not None:
            query = query.where(*conditions(filters))
        found = await self.database.rows(query)
        return Page(
            incidents=tuple(read_row(Listed, row) for row in found[:limit]),
            next_cursor=write_cursor(found[limit - 1].seq) if len(found) > limit else None,
        )

    async def list_posted(self, limit: int, teams: Collection[str] | None = None) -> Sequence[Posted]:
        """Incidents posted for triage, newest first, at most `limit`; with `teams` only theirs."""
        of = incident_table.c
        # Each status is read newest first from its index, so that the imported history, often the largest part, is not.
        newest = [
            select(of.seq)
            .where(of.status == status, *in_teams(teams))
            .order_by(of.seq.desc())
            .limit(limit)
            .subquery()
            .select()
            for status in ("pending", "triaged", "failed")
        ]
        query: Select[Any] = (
            select(*LIST_COLUMNS, of.retry_at, _latest_degraded().label("degraded"))
            .where(of.seq.in_(union_all(*newest)))
            .order_by(of.seq.desc())
            .limit(limit)
        )
        return [read_row(Posted, row) for row in await self.database.rows(query)]

    async def delete(self, incident_id: str, actor: str) -> dict[str, int]:
        """Delete an incident and everything that belongs to it, and log who did. Raises `NotFound`.

        Returns its mark for the index: incident id -> the mark's `seq`.
        """
        async with self.database.write() as connection:
            query = select(incident_table.c.team).where(incident_table.c.id == incident_id).with_for_update()
            team = (await connection.execute(query)).scalar_one_or_none()
            if team is None:
                raise _not_found(incident_id)
            rows = {}
            for table in _BELONGING:
                deleted = await connection.execute(table.delete().where(table.c.incident_id == incident_id))
                rows[table.name] = deleted.rowcount
            await connection.execute(incident_table.delete().where(incident_table.c.id == incident_id))
            await write_audit(connection, actor, "incident.deleted", team, incident_id, {"rows": rows})
            marks = await write_marks(connection, [incident_id])
        await self.database.empty_log()
        return marks


async def import_incident(connection: AsyncConnection, incident: Incident, taxonomy: str, team: str) -> None:
    """Store an imported incident. It replaces one with its id, which keeps its team and loses its vectors."""
    now = datetime.now(UTC)
    values = incident.model_dump() | {"taxonomy": taxonomy, "updated_at": now}
    if await _exists(connection, incident.id):
        await connection.execute(incident_table.update().where(incident_table.c.id == incident.id).values(**values))
        await connection.execute(vector_table.delete().where(vector_table.c.incident_id == incident.id))
    else:
        await connection.execute(incident_table.insert().values(**values, team=team, status="imported", created_at=now))


async def lock_incidents(connection: AsyncConnection, incident_ids: Collection[str]) -> None:
    """Keep incidents from being deleted until this transaction ends. Raises `NotFound` if one does not exist."""
    for chunk in chunks(incident_ids):
        query = select(incident_table.c.id).where(incident_table.c.id.in_(chunk)).with_for_update(read=True)
        if missing := set(chunk) - set((await connection.execute(query)).scalars()):
            raise NotFound(f"There is no incident {', '.join(map(repr, sorted(missing)[:10]))}.")


async def read_teams(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, str]:
    """Incident id -> team; missing incidents are left out."""
    found: dict[str, str] = {}
    for chunk in chunks(incident_ids):
        query = select(incident_table.c.id, incident_table.c.team).where(incident_table.c.id.in_(chunk))
        found |= {row.id: row.team for row in await connection.execute(query)}
    return found


def conditions(filters: IncidentQuery) -> list[ColumnElement[bool]]:
    """What must be true of an incident to be listed."""
    of = incident_table.c
    values = {name: getattr(filters, name) for name in ("status", "service", "severity")}
    found = [*in_teams(filters.teams), *(of[name] == value for name, value in values.items() if value is not None)]
    if filters.since is not None:
        found.append(of.created_at >= filters.since)
    if filters.until is not None:
        found.append(of.created_at < filters.until)
    if filters.degraded is not None:
        found.append(_latest_degraded().is_(filters.degraded))
    return found


async def _exists(connection: AsyncConnection, incident_id: str) -> bool:
    return bool((await connection.execute(select(exists().where(incident_table.c.id == incident_id)))).scalar_one())


def _accepted(incident: Incident, taxonomy: str, team: str, now: datetime) -> dict[str, Any]:
    state = {"taxonomy": taxonomy, "team": team, "status": "pending", "created_at": now, "updated_at": now}
    return {**incident.model_dump(), **state}


def _not_found(incident_id: str) -> NotFound:
    return NotFound(f"There is no incident {incident_id!r}.", incident_id=incident_id)


def _latest_degraded() -> ScalarSelect[Any]:
    """Whether an incident's latest triage is degraded; NULL if it has none."""
    return (
        select(triage_table.c.degraded)
        .where(triage_table.c.incident_id == incident_table.c.id)
        .order_by(triage_table.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
