"""The outbox of notifications. They are written in the transaction of their event and delivered at least once.

A notification is claimed before it is sent: its next time moves ahead by a lease, so that no other process sends it
meanwhile. If the process dies, the notification is due again after the lease, under the same id.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import ColumnElement, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Annotation
from triage.domain.enums import Event
from triage.domain.errors import NotFound
from triage.domain.triage_result import Triage
from triage.store.database import Database, insert, read_row
from triage.store.tables import incident_table, notification_table, subscription_table, triage_table

NotificationState = Literal["waiting", "delivered", "failed"]


class Notification(BaseModel, frozen=True):
    """One event for one subscription. `attempts` counts the deliveries that were started; `failure` is the last one's.

    `next_at` is when it is sent next, or sent again if its process has died.
    """

    id: str
    subscription_id: str
    event: Event
    incident_id: str
    state: NotificationState
    attempts: int
    next_at: AwareDatetime | None = None
    failure: str | None = None
    created_at: AwareDatetime
    delivered_at: AwareDatetime | None = None


class Claimed(NamedTuple):
    """A notification that this process must send now. `attempt` counts from 1 and tells this claim from others."""

    id: str
    subscription_id: str
    event: Event
    incident_id: str
    run_id: str
    attempt: int
    created_at: datetime


@dataclass
class Notifications:
    """All notifications. `added` is set whenever this process stored some, to wake whoever sends them."""

    database: Database
    added: asyncio.Event = field(default_factory=asyncio.Event)

    async def claim(
        self, now: datetime, lease: timedelta, each: int, limit: int, busy: Collection[str] = ()
    ) -> Sequence[Claimed]:
        """Claim up to `limit` due notifications, at most `each` of a subscription, none of the `busy` subscriptions.

        They are due again after `lease`, unless one of the `mark_...` methods or `reschedule` is called before.
        """
        table = notification_table
        due = and_(table.c.state == "waiting", table.c.next_at <= now)
        if busy:
            due = and_(due, table.c.subscription_id.not_in([*busy]))
        place = func.row_number().over(partition_by=table.c.subscription_id, order_by=(table.c.next_at, table.c.seq))
        ranked = select(table.c.seq, place.label("place")).where(due).subquery()
        first = select(ranked.c.seq).where(ranked.c.place <= each)
        query = (
            select(table)
            .where(due, table.c.seq.in_(first))
            .order_by(table.c.next_at, table.c.seq)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        async with self.database.write() as connection:
            rows = (await connection.execute(query)).all()
            if rows:
                await connection.execute(
                    table.update()
                    .where(table.c.seq.in_([row.seq for row in rows]))
                    .values(next_at=now + lease, attempts=table.c.attempts + 1)
                )
        stored = [name for name in Claimed._fields if name != "attempt"]
        return [Claimed(**{name: getattr(row, name) for name in stored}, attempt=row.attempts + 1) for row in rows]

    async def find_next_time(self) -> datetime | None:
        """When the next one is due; None if none waits."""
        table = notification_table
        query = select(table.c.next_at).where(table.c.state == "waiting").order_by(table.c.next_at).limit(1)
        next_at: datetime | None = await self.database.value(query)
        return next_at

    async def mark_delivered(self, claimed: Claimed) -> None:
        """Store that it arrived."""
        # Even if the lease has expired: what arrived need not be sent again.
        values = {"state": "delivered", "failure": None, "next_at": None, "delivered_at": datetime.now(UTC)}
        await self._update(notification_table.c.id == claimed.id, **values)

    async def reschedule(self, claimed: Claimed, failure: str, at: datetime) -> None:
        """Store that it did not arrive and is sent again `at` a later time."""
        await self._update(_still_claimed(claimed), failure=failure, next_at=at)

    async def mark_failed(self, claimed: Claimed, failure: str) -> None:
        """Store that it did not arrive and is not sent again automatically."""
        await self._update(_still_claimed(claimed), state="failed", failure=failure, next_at=None)

    async def list(
        self,
        *,
        subscription_id: str | None = None,
        incident_id: str | None = None,
        state: NotificationState | None = None,
        limit: int = 100,
    ) -> Sequence[Notification]:
        """The notifications of a subscription or an incident, newest first, at most `limit`."""
        filters = {"subscription_id": subscription_id, "incident_id": incident_id, "state": state}
        query = select(notification_table).filter_by(**{k: v for k, v in filters.items() if v is not None})
        query = query.order_by(notification_table.c.seq.desc()).limit(limit)
        return [read_row(Notification, row) for row in await self.database.rows(query)]

    async def redeliver(self, subscription_id: str, notification_id: str) -> Notification:
        """Send it again now, under its id, whatever its state. Raises `NotFound`."""
        table = notification_table
        this = and_(table.c.id == notification_id, table.c.subscription_id == subscription_id)
        values = {"state": "waiting", "attempts": 0, "next_at": datetime.now(UTC), "failure": None}
        async with self.database.write() as connection:
            changed = await connection.execute(table.update().where(this).values(**values))
            if not changed.rowcount:
                raise NotFound(
                    f"There is no notification {notification_id!r} of subscription {subscription_id!r}.",
                    notification_id=notification_id,
                )
            row = (await connection.execute(select(table).where(this))).one()
        self.added.set()
        return read_row(Notification, row)

    async def _update(self, which: ColumnElement[bool], **values: Any) -> None:
        await self.database.execute(notification_table.update().where(which).values(**values))


async def notify(connection: AsyncConnection, event: Event, incident_id: str, run_id: str) -> bool:
    """In this transaction, add one notification for each active subscription of the incident's team to `event`.

    A second call with the same event and run adds nothing. True if anyone is notified.
    """
    query = (
        select(subscription_table.c.id, subscription_table.c.events)
        .join(incident_table, incident_table.c.team == subscription_table.c.team)
        .where(incident_table.c.id == incident_id, subscription_table.c.is_active)
    )
    subscribed = [row.id for row in await connection.execute(query) if event in row.events]
    if not subscribed:
        return False
    now = datetime.now(UTC)
    shared = {"event": event, "incident_id": incident_id, "run_id": run_id}
    state = {"state": "waiting", "next_at": now, "created_at": now}
    notifications = [
        {"id": notification_id(key, event, run_id), "subscription_id": key, **shared, **state} for key in subscribed
    ]
    await connection.execute(
        insert(connection.dialect.name, notification_table).on_conflict_do_nothing(), notifications
    )
    return True


async def notify_of_corrections(connection: AsyncConnection, added: Sequence[Annotation]) -> bool:
    """In this transaction, add notifications of people's new gold labels that differ from the triage's labels."""
    gold = [annotation for annotation in added if annotation.is_gold and annotation.origin == "human"]
    subscribed = select(subscription_table.c.id).where(subscription_table.c.is_active).limit(1)
    if not gold or (await connection.execute(subscribed)).first() is None:
        return False
    is_any = False
    for annotation in gold:
        query = select(triage_table.c.document).filter_by(incident_id=annotation.incident_id)
        query = query.order_by(triage_table.c.id.desc()).limit(1)
        document = (await connection.execute(query)).scalar_one_or_none()
        result = Triage.model_validate_json(document).facets.get(annotation.facet) if document else None
        if result is not None and set(result.labels) != set(annotation.labels):
            run_id = f"annotation:{annotation.id}"
            is_any |= await notify(connection, "corrected", annotation.incident_id, run_id)
    return is_any


def notification_id(subscription_id: str, event: str, run_id: str) -> str:
    """The same for the same event, subscription and run, however often it is sent."""
    content = f"{subscription_id}\x1f{event}\x1f{run_id}"
    return "msg_" + hashlib.sha256(content.encode()).hexdigest()[:40]


def _still_claimed(claimed: Claimed) -> ColumnElement[bool]:
    """True of this claim, and not of one made after its lease expired."""
    table = notification_table
    return and_(table.c.id == claimed.id, table.c.state == "waiting", table.c.attempts == claimed.attempt)
