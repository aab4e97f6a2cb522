"""Incidents as they are kept: accepted or imported, found by id, and listed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, Select, exists, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.enums import Status
from triage.domain.errors import NotFound
from triage.domain.incident import Incident
from triage.store import rows
from triage.store.records import Listed, Page, Posted, StoredIncident, Wanted
from triage.store.statements import chunks, insert_or_leave
from triage.store.tables import incident_table, triage_table, vector_table


async def accept(connection: AsyncConnection, incident: Incident, taxonomy: str, team: str) -> bool:
    """Keep an incident that waits for triage. False, and nothing done, if the id is taken.

    Raises `IntegrityError` where another process takes the id in the same moment.
    """
    if await _is_there(connection, incident.id):
        return False
    await connection.execute(incident_table.insert().values(_accepted(incident, taxonomy, team, datetime.now(UTC))))
    return True


async def accept_many(connection: AsyncConnection, incidents: Sequence[Incident], taxonomy: str, team: str) -> set[str]:
    """Keep incidents that wait for triage; returns the ids of those that are new. Of several with one id the first
    counts."""
    now = datetime.now(UTC)
    values: dict[str, dict[str, Any]] = {}
    for incident in incidents:
        values.setdefault(incident.id, _accepted(incident, taxonomy, team, now))
    insert = insert_or_leave(connection.dialect.name, incident_table).returning(incident_table.c.id)
    return set((await connection.execute(insert, list(values.values()))).scalars())


async def take_over(connection: AsyncConnection, incident: Incident, taxonomy: str, team: str) -> None:
    """Keep an imported incident, in place of one with its id, which keeps its team and loses its vectors."""
    now = datetime.now(UTC)
    values = rows.incident_values(incident) | {"taxonomy": taxonomy, "updated_at": now}
    if await _is_there(connection, incident.id):
        await connection.execute(incident_table.update().where(incident_table.c.id == incident.id).values(**values))
        await connection.execute(vector_table.delete().where(vector_table.c.incident_id == incident.id))
    else:
        await connection.execute(incident_table.insert().values(**values, team=team, status="imported", created_at=now))


async def hold(connection: AsyncConnection, incident_ids: Collection[str]) -> None:
    """Keep incidents from being deleted until this transaction ends. Raises `NotFound` if one is not there."""
    for chunk in chunks(incident_ids):
        # Held, so that a deletion comes before all of this or after it.
        query = select(incident_table.c.id).where(incident_table.c.id.in_(chunk)).with_for_update(read=True)
        if missing := set(chunk) - set((await connection.execute(query)).scalars()):
            raise NotFound(f"There is no incident {', '.join(map(repr, sorted(missing)[:10]))}.")


async def read_incidents(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, StoredIncident]:
    """Those of `incident_ids` that are there, by id."""
    found: dict[str, StoredIncident] = {}
    for chunk in chunks(incident_ids):
        for row in await connection.execute(select(incident_table).where(incident_table.c.id.in_(chunk))):
            found[row.id] = rows.read_stored(row)
    return found


async def read_listed(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, Listed]:
    """Those of `incident_ids` that are there, by id, without their write-ups."""
    found: dict[str, Listed] = {}
    for chunk in chunks(incident_ids):
        for row in await connection.execute(select(*rows.LIST_COLUMNS).where(incident_table.c.id.in_(chunk))):
            found[row.id] = rows.read_listed(row)
    return found


async def read_teams(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, str]:
    """Incident id -> team, of those of `incident_ids` that are there."""
    found: dict[str, str] = {}
    for chunk in chunks(incident_ids):
        query = select(incident_table.c.id, incident_table.c.team).where(incident_table.c.id.in_(chunk))
        found |= {row.id: row.team for row in await connection.execute(query)}
    return found


async def read_seq(connection: AsyncConnection, incident_id: str) -> int | None:
    """The place of an incident in the order of arrival; None where there is no such incident."""
    query = select(incident_table.c.seq).where(incident_table.c.id == incident_id)
    seq: int | None = (await connection.execute(query)).scalar_one_or_none()
    return seq


async def read_ids(connection: AsyncConnection, status: Status | None) -> list[str]:
    """The ids of all incidents, or of those with this status, oldest first."""
    query = select(incident_table.c.id).order_by(incident_table.c.seq)
    if status is not None:
        query = query.where(incident_table.c.status == status)
    return list((await connection.execute(query)).scalars())


async def read_page(connection: AsyncConnection, limit: int, cursor: str | None, wanted: Wanted | None) -> Page:
    """See `Store.page`."""
    query = select(*rows.LIST_COLUMNS).order_by(incident_table.c.seq.desc()).limit(limit + 1)
    if cursor is not None:
        query = query.where(incident_table.c.seq < rows.read_cursor(cursor))
    if wanted is not None:
        query = query.where(*conditions(wanted))
    found = (await connection.execute(query)).all()
    more = len(found) > limit
    return Page(
        incidents=tuple(map(rows.read_listed, found[:limit])),
        next_cursor=rows.write_cursor(found[limit - 1].seq) if more else None,
    )


async def read_posted(connection: AsyncConnection, limit: int, teams: Collection[str] | None) -> list[Posted]:
    """See `Store.posted`."""
    of = incident_table.c
    visible = [] if teams is None else [of.team.in_(teams)]
    # Each state by itself is read from its index, newest first; the imported history, mostly the largest, is not.
    newest = [
        select(of.seq).where(of.status == status, *visible).order_by(of.seq.desc()).limit(limit).subquery().select()
        for status in ("pending", "triaged", "failed")
    ]
    columns = [column for column in rows.LIST_COLUMNS if column is not of.seq]
    query: Select[Any] = (
        select(*columns, of.retry_at, _latest_degraded().label("degraded"))
        .where(of.seq.in_(union_all(*newest)))
        .order_by(of.seq.desc())
        .limit(limit)
    )
    return [rows.read_posted(row) for row in await connection.execute(query)]


async def _is_there(connection: AsyncConnection, incident_id: str) -> bool:
    return bool((await connection.execute(select(exists().where(incident_table.c.id == incident_id)))).scalar_one())


def _accepted(incident: Incident, taxonomy: str, team: str, now: datetime) -> dict[str, Any]:
    state = {"taxonomy": taxonomy, "team": team, "status": "pending", "created_at": now, "updated_at": now}
    return {**rows.incident_values(incident), **state}


def conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What must hold of an incident for it to be listed."""
    of = incident_table.c
    given = {name: getattr(wanted, name) for name in ("status", "service", "severity")}
    held: list[ColumnElement[bool]] = [of[name] == value for name, value in given.items() if value is not None]
    if wanted.teams is not None:
        held.append(of.team.in_(wanted.teams))
    if wanted.since is not None:
        held.append(of.created_at >= wanted.since)
    if wanted.until is not None:
        held.append(of.created_at < wanted.until)
    if wanted.degraded is not None:
        held.append(_latest_degraded().is_(wanted.degraded))
    return held


def _latest_degraded() -> ScalarSelect[Any]:
    """Whether an incident's latest triage is degraded; NULL where it has none."""
    return (
        select(triage_table.c.degraded)
        .where(triage_table.c.incident_id == incident_table.c.id)
        .order_by(triage_table.c.id.desc())
        .limit(1)
        .scalar_subquery()
    )
