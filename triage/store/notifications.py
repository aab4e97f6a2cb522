"""The outbox: what is to be told to whom, written in the transaction that made it happen, told at least once.

A notification is claimed before it is sent: its next time is moved ahead by a lease, so that no other process sends it
meanwhile. One whose process died is due again when the lease is over, under the same id.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import ColumnElement, Row, and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from triage.domain.annotation import Annotation
from triage.domain.enums import Event
from triage.domain.errors import NotFound
from triage.domain.triage_result import Triage
from triage.store.service_tables import notification_table, subscription_table
from triage.store.statements import insert_or_leave
from triage.store.tables import incident_table, triage_table

NotificationState = Literal["waiting", "delivered", "failed"]


class Notification(BaseModel, frozen=True):
    """One event for one subscription. `attempts` counts the sendings that were begun; `failure` is the last one's.

    `next_at` is when it is sent next, or sent again should its process have died.
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
    """A notification that this process is to send now. `attempt` counts from 1 and tells this claim from others."""

    id: str
    subscription_id: str
    event: Event
    incident_id: str
    run_id: str
    attempt: int
    created_at: datetime


class Notifications:
    """All notifications. `added` is set whenever this process stored some, for whoever sends them."""

    def __init__(self, reading: AsyncEngine, writing: AsyncEngine) -> None:
        self._engine = reading
        self._writing = writing
        self.added = asyncio.Event()

    async def claim(
        self, now: datetime, lease: timedelta, each: int, limit: int, busy: Collection[str] = ()
    ) -> list[Claimed]:
        """Take up to `limit` due notifications, at most `each` of a subscription, none of those that are `busy`.

        They are due again after `lease`, unless `delivered`, `again` or `failed` is called for them before.
        """
        table = notification_table
        due = and_(table.c.state == "waiting", table.c.next_at <= now)
        if busy:
            due = and_(due, table.c.subscription_id.not_in(list(busy)))
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
        async with self._writing.begin() as connection:
            rows = (await connection.execute(query)).all()
            if rows:
                await connection.execute(
                    table.update()
                    .where(table.c.seq.in_([row.seq for row in rows]))
                    .values(next_at=now + lease, attempts=table.c.attempts + 1)
                )
        return [
            Claimed(
                row.id, row.subscription_id, row.event, row.incident_id, row.run_id, row.attempts + 1, row.created_at
            )
            for row in rows
        ]

    async def next_at(self) -> datetime | None:
        """When the next one is due; None if none waits."""
        table = notification_table
        query = select(table.c.next_at).where(table.c.state == "waiting").order_by(table.c.next_at).limit(1)
        async with self._engine.connect() as connection:
            moment: datetime | None = (await connection.execute(query)).scalar_one_or_none()
        return moment

    async def delivered(self, claimed: Claimed) -> None:
        """It arrived."""
        # Also where the lease was over: what arrived need not be sent again.
        await self._end(
            notification_table.c.id == claimed.id,
            state="delivered",
            failure=None,
            next_at=None,
            delivered_at=datetime.now(UTC),
        )

    async def again(self, claimed: Claimed, failure: str, at: datetime) -> None:
        """It did not arrive, and is to be sent again `at` a later time."""
        await self._end(_mine(claimed), failure=failure, next_at=at)

    async def failed(self, claimed: Claimed, failure: str) -> None:
        """It did not arrive, and is not sent again by itself."""
        await self._end(_mine(claimed), state="failed", failure=failure, next_at=None)

    async def of_subscription(
        self, subscription_id: str, limit: int = 100, state: NotificationState | None = None
    ) -> list[Notification]:
        """The notifications of a subscription, newest first, at most `limit`."""
        table = notification_table
        query = (
            select(table).where(table.c.subscription_id == subscription_id).order_by(table.c.seq.desc()).limit(limit)
        )
        if state is not None:
            query = query.where(table.c.state == state)
        async with self._engine.connect() as connection:
            return [_read(row) for row in await connection.execute(query)]

    async def of_incident(self, incident_id: str, limit: int = 100) -> list[Notification]:
        """The notifications of an incident, newest first, at most `limit`."""
        table = notification_table
        query = select(table).where(table.c.incident_id == incident_id).order_by(table.c.seq.desc()).limit(limit)
        async with self._engine.connect() as connection:
            return [_read(row) for row in await connection.execute(query)]

    async def redeliver(self, subscription_id: str, notification_id: str) -> Notification:
        """Send it anew now, under its id, whatever became of it. Raises `NotFound`."""
        table = notification_table
        this = and_(table.c.id == notification_id, table.c.subscription_id == subscription_id)
        values = {"state": "waiting", "attempts": 0, "next_at": datetime.now(UTC), "failure": None}
        async with self._writing.begin() as connection:
            changed = await connection.execute(table.update().where(this).values(**values))
            if not changed.rowcount:
                raise NotFound(
                    f"There is no notification {notification_id!r} of subscription {subscription_id!r}.",
                    notification_id=notification_id,
                )
            row = (await connection.execute(select(table).where(this))).one()
        self.added.set()
        return _read(row)

    async def _end(self, which: ColumnElement[bool], **values: Any) -> None:
        async with self._writing.begin() as connection:
            await connection.execute(notification_table.update().where(which).values(**values))


async def notify(connection: AsyncConnection, event: Event, incident_id: str, run_id: str) -> bool:
    """In this transaction: one notification for each active subscription of the incident's team to `event`.

    A second time with the same event and run it adds nothing. True if there is anyone to be told.
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
    told = [
        {
            "id": notification_id(subscription_id, event, run_id),
            "subscription_id": subscription_id,
            "event": event,
            "incident_id": incident_id,
            "run_id": run_id,
            "state": "waiting",
            "next_at": now,
            "created_at": now,
        }
        for subscription_id in subscribed
    ]
    insert = insert_or_leave(connection.dialect.name, notification_table)
    await connection.execute(insert, told)
    return True


async def notify_of_corrections(connection: AsyncConnection, kept: Sequence[Annotation]) -> bool:
    """In this transaction: notifications of people's new gold labels that differ from what the triage had said."""
    is_any = False
    for annotation in kept:
        if not annotation.is_gold or annotation.origin != "human":
            continue
        query = (
            select(triage_table.c.document)
            .where(triage_table.c.incident_id == annotation.incident_id)
            .order_by(triage_table.c.id.desc())
            .limit(1)
        )
        document = (await connection.execute(query)).scalar_one_or_none()
        result = Triage.model_validate_json(document).facets.get(annotation.facet) if document else None
        if result is not None and set(result.labels) != set(annotation.labels):
            run_id = f"annotation:{annotation.id}"
            is_any |= await notify(connection, "corrected", annotation.incident_id, run_id)
    return is_any


def notification_id(subscription_id: str, event: str, run_id: str) -> str:
    """The same for the same event and subscription, however often it is sent."""
    content = f"{subscription_id}\x1f{event}\x1f{run_id}"
    return "msg_" + hashlib.sha256(content.encode()).hexdigest()[:40]


def _mine(claimed: Claimed) -> ColumnElement[bool]:
    """Still this claim, and not one made after its lease was over."""
    table = notification_table
    return and_(table.c.id == claimed.id, table.c.state == "waiting", table.c.attempts == claimed.attempt)


def _read(row: Row[Any]) -> Notification:
    return Notification.model_construct(**{name: getattr(row, name) for name in Notification.model_fields})
