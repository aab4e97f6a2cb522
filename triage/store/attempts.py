"""Triage attempts: which incidents wait for one, and what follows a failed one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import and_, case, func, select

from triage.store.database import CHUNK, Database
from triage.store.incidents import IncidentQuery, conditions
from triage.store.notifications import Notifications, notify
from triage.store.tables import incident_table


class Pending(NamedTuple):
    """An incident that waits for triage; `attempt` counts the earlier attempts that failed."""

    id: str
    attempt: int


@dataclass
class Attempts:
    """The triage attempts of all incidents."""

    database: Database
    notifications: Notifications

    async def list_pending(self, after: str | None = None, limit: int = CHUNK) -> list[Pending]:
        """Incidents that wait for triage, by id, those after `after`."""
        query = (
            select(incident_table.c.id, incident_table.c.attempts)
            .where(incident_table.c.status == "pending")
            .order_by(incident_table.c.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(incident_table.c.id > after)
        return [Pending(*row) for row in await self.database.rows(query)]

    async def count_pending(self, limit: int) -> int:
        """How many incidents wait for triage, counted up to `limit`."""
        some = select(incident_table.c.seq).where(incident_table.c.status == "pending").limit(limit).subquery()
        return int(await self.database.value(select(func.count()).select_from(some)))

    async def fail(self, pending: Pending, reason: str, retry_at: datetime | None) -> bool:
        """Store why an attempt failed. Does nothing and returns False if the incident's state has changed since."""
        failure = (
            incident_table.update()
            .filter_by(id=pending.id, status="pending", attempts=pending.attempt)
            .values(
                status="failed",
                attempts=incident_table.c.attempts + 1,
                failures=incident_table.c.failures + 1,
                failure=reason,
                retry_at=retry_at,
                updated_at=datetime.now(UTC),
            )
        )
        is_notified = False
        async with self.database.write() as connection:
            is_stored = (await connection.execute(failure)).rowcount > 0
            if is_stored and retry_at is None:
                is_notified = await notify(connection, "failed", pending.id, f"{pending.id}~{pending.attempt + 1}")
        if is_notified:
            self.notifications.added.set()
        return is_stored

    async def rearm(self, now: datetime) -> int:
        """Make failed incidents pending whose retry is due. Returns how many."""
        due = incident_table.update().where(incident_table.c.status == "failed", incident_table.c.retry_at <= now)
        return await self.database.execute(due.values(status="pending", retry_at=None, updated_at=now))

    async def request(self, incident_id: str) -> None:
        """Make an incident pending that was imported or failed for good. Does nothing to any other."""
        of = incident_table.c
        is_idle = (of.status == "imported") | ((of.status == "failed") & of.retry_at.is_(None))
        mine = incident_table.update().where(of.id == incident_id, is_idle)
        await self.database.execute(
            mine.values(status="pending", failures=0, failure=None, updated_at=datetime.now(UTC))
        )

    async def request_again(self, incident_id: str) -> bool:
        """Make an incident pending that failed, or whose latest triage is degraded. Does nothing to any other and
        returns False."""
        of = incident_table.c
        changed = await self.database.execute(
            incident_table.update()
            .where(
                of.id == incident_id,
                (of.status == "failed") | ((of.status == "triaged") & and_(*conditions(IncidentQuery(degraded=True)))),
            )
            # A stored triage has used up its attempt: the next one is another run.
            .values(
                status="pending",
                attempts=of.attempts + case((of.status == "triaged", 1), else_=0),
                failures=0,
                failure=None,
                retry_at=None,
                updated_at=datetime.now(UTC),
            )
        )
        return changed > 0
