"""Attempts to triage an incident: which incidents wait for one, and what follows one that failed."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import and_, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.store.incidents import conditions
from triage.store.notifications import notify
from triage.store.records import Pending, Wanted
from triage.store.tables import incident_table


async def read_pending(connection: AsyncConnection, after: str | None, limit: int) -> list[Pending]:
    """Incidents that wait for their triage, by id, those behind `after`."""
    query = (
        select(incident_table.c.id, incident_table.c.attempts)
        .where(incident_table.c.status == "pending")
        .order_by(incident_table.c.id)
        .limit(limit)
    )
    if after is not None:
        query = query.where(incident_table.c.id > after)
    return [Pending(*row) for row in await connection.execute(query)]


async def count_pending(connection: AsyncConnection, limit: int) -> int:
    """How many incidents wait for their triage, counted up to `limit`."""
    some = select(incident_table.c.seq).where(incident_table.c.status == "pending").limit(limit).subquery()
    return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())


async def keep_failure(
    connection: AsyncConnection, pending: Pending, reason: str, retry_at: datetime | None
) -> tuple[bool, bool]:
    """Whether the failure is kept, see `Store.save_failure`, and whether anyone is to be notified of it."""
    changed = await connection.execute(
        incident_table.update()
        .where(
            incident_table.c.id == pending.id,
            incident_table.c.status == "pending",
            incident_table.c.attempts == pending.attempt,
        )
        .values(
            status="failed",
            attempts=incident_table.c.attempts + 1,
            failures=incident_table.c.failures + 1,
            failure=reason,
            retry_at=retry_at,
            updated_at=datetime.now(UTC),
        )
    )
    is_kept, is_told = changed.rowcount > 0, False
    if is_kept and retry_at is None:
        is_told = await notify(connection, "failed", pending.id, f"{pending.id}~{pending.attempt + 1}")
    return is_kept, is_told


async def rearm_failed(connection: AsyncConnection, now: datetime) -> int:
    """Make failed incidents whose time to be tried again has come pending. Returns how many."""
    changed = await connection.execute(
        incident_table.update()
        .where(incident_table.c.status == "failed", incident_table.c.retry_at <= now)
        .values(status="pending", retry_at=None, updated_at=now)
    )
    return changed.rowcount


async def request_attempt(connection: AsyncConnection, incident_id: str) -> None:
    """Make an incident that was imported, or failed for good, pending. Does nothing to any other."""
    await connection.execute(
        incident_table.update()
        .where(
            incident_table.c.id == incident_id,
            (incident_table.c.status == "imported")
            | ((incident_table.c.status == "failed") & incident_table.c.retry_at.is_(None)),
        )
        .values(status="pending", failures=0, failure=None, updated_at=datetime.now(UTC))
    )


async def request_another(connection: AsyncConnection, incident_id: str) -> bool:
    """See `Store.request_another`."""
    of = incident_table.c
    changed = await connection.execute(
        incident_table.update()
        .where(
            of.id == incident_id,
            (of.status == "failed") | ((of.status == "triaged") & and_(*conditions(Wanted(degraded=True)))),
        )
        # A triage that was stored has used up its attempt: the next one is another run.
        .values(
            status="pending",
            attempts=of.attempts + case((of.status == "triaged", 1), else_=0),
            failures=0,
            failure=None,
            retry_at=None,
            updated_at=datetime.now(UTC),
        )
    )
    return changed.rowcount > 0
