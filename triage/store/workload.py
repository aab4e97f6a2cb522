"""What waits, what is at work and what was spent, counted for those who watch the service."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from triage.store.processes import SEEN_WITHIN
from triage.store.service_tables import index_mark_table, notification_table, process_table, spending_table
from triage.store.tables import incident_table

DELIVERED = "delivered"


class Workload(NamedTuple):
    """The state of the service, all processes together.

    `incidents` counts by status those that are not done, `notifications` by state those that are not delivered, and
    `processes` by role those that were seen in the last minute. `cost` (US dollars) and `tokens` are today's (UTC), by
    model; a model without a price has no cost.
    """

    incidents: dict[str, int]
    oldest_pending_s: float
    index_marks: int
    notifications: dict[str, int]
    processes: dict[str, int]
    cost: dict[str, float]
    tokens: dict[str, int]


async def read_workload(engine: AsyncEngine, now: datetime | None = None) -> Workload:
    """Count. Triaged incidents and delivered notifications are many and need no watching: they are left out."""
    now = now or datetime.now(UTC)
    incidents, notifications, processes = incident_table.c, notification_table.c, process_table.c
    spent = spending_table.c
    by_status = (
        select(incidents.status, func.count())
        .where(incidents.status.in_(("pending", "failed")))
        .group_by(incidents.status)
    )
    # Since when it waits, which for one that is tried again is not when it came in.
    oldest = select(func.min(incidents.updated_at)).where(incidents.status == "pending")
    by_state = (
        select(notifications.state, func.count()).where(notifications.state != DELIVERED).group_by(notifications.state)
    )
    by_role = select(processes.role, func.count()).where(processes.seen_at > now - SEEN_WITHIN).group_by(processes.role)
    today = select(
        spent.model, spent.cost, spent.is_priced, (spent.prompt_tokens + spent.completion_tokens).label("tokens")
    ).where(spent.day == now.date().isoformat())
    async with engine.connect() as connection:
        counted: dict[str, int] = {row[0]: row[1] for row in await connection.execute(by_status)}
        since = (await connection.execute(oldest)).scalar_one_or_none()
        marks = (await connection.execute(select(func.count()).select_from(index_mark_table))).scalar_one()
        waiting: dict[str, int] = {row[0]: row[1] for row in await connection.execute(by_state)}
        at_work: dict[str, int] = {row[0]: row[1] for row in await connection.execute(by_role)}
        spending = (await connection.execute(today)).all()
    return Workload(
        incidents=counted,
        oldest_pending_s=max((now - since).total_seconds(), 0.0) if since else 0.0,
        index_marks=marks,
        notifications=waiting,
        processes=at_work,
        cost={row.model: row.cost for row in spending if row.is_priced},
        tokens={row.model: row.tokens for row in spending},
    )
