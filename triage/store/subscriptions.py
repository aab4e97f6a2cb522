"""Subscriptions to triage events, and sources that send incidents by webhook. Their secrets are encrypted."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Delete, Row, Update, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.enums import EVENTS, Event, SubscriptionKind
from triage.domain.errors import NotFound
from triage.domain.principal import actor
from triage.intake.webhooks import SourceKind
from triage.store.audit import write_audit
from triage.store.database import Database, read_row
from triage.store.tables import notification_table, subscription_table, webhook_source_table

OVERLAP = timedelta(days=1)
"""For this long after a rotation messages are signed with the previous secret too."""


class Subscription(BaseModel, frozen=True):
    """A receiver of events of the incidents of `team`. An inactive one gets no notifications."""

    id: str
    team: str
    url: str
    kind: SubscriptionKind
    events: tuple[Event, ...]
    is_active: bool = True
    created_at: AwareDatetime


class WebhookSource(BaseModel, frozen=True):
    """A sender of incidents; its incidents belong to `team`."""

    id: str
    team: str
    kind: SourceKind
    is_active: bool = True
    created_at: AwareDatetime


@dataclass
class Subscriptions:
    """All subscriptions, with the secrets that sign their messages."""

    database: Database

    async def create(
        self, url: str, team: str, kind: SubscriptionKind = "generic", events: Sequence[Event] = EVENTS
    ) -> tuple[Subscription, str]:
        """Create a subscription. Returns it and its secret, which is not shown again."""
        secret = new_secret()
        subscription = Subscription(
            id=_new_id("sub"), team=team, url=url, kind=kind, events=tuple(events), created_at=datetime.now(UTC)
        )
        # The URL of a chat tool's incoming webhook is a secret too.
        encrypted = {"url": self.database.cipher.encrypt(url), "secret": self.database.cipher.encrypt(secret)}
        values = subscription.model_dump() | {"events": list(events)} | encrypted
        async with self.database.write() as connection:
            await connection.execute(subscription_table.insert().values(**values))
            details = {"id": subscription.id, "kind": kind}
            await write_audit(connection, actor(), "subscription.created", team, None, details)
        return subscription, secret

    async def list(self, team: str | None = None) -> Sequence[Subscription]:
        """All subscriptions, or those of one team, oldest first."""
        query = select(subscription_table).order_by(subscription_table.c.created_at, subscription_table.c.id)
        if team is not None:
            query = query.where(subscription_table.c.team == team)
        return [self._read(row) for row in await self.database.rows(query)]

    async def get(self, subscription_id: str) -> Subscription:
        """The subscription with this id. Raises `NotFound`."""
        return self._read(await self._row(subscription_id))

    async def get_secrets(self, subscription_id: str, now: datetime | None = None) -> tuple[str, ...]:
        """The secrets to sign with: the current one, and for a while the previous one. Raises `NotFound`."""
        stored = self.database.cipher.decrypt((await self._row(subscription_id)).secret).split()
        moment = (now or datetime.now(UTC)).timestamp()
        previous = [secret.split("@") for secret in stored[1:]]
        return (stored[0], *(secret for secret, until in previous if moment < float(until)))

    async def rotate_secret(self, subscription_id: str, now: datetime | None = None) -> str:
        """Replace the secret. The previous one signs too until `OVERLAP` has passed. Raises `NotFound`."""
        now = now or datetime.now(UTC)
        previous = (await self.get_secrets(subscription_id, now))[0]
        secret = new_secret()
        stored = f"{secret} {previous}@{(now + OVERLAP).timestamp():.0f}"
        mine = subscription_table.c.id == subscription_id
        change = subscription_table.update().where(mine).values(secret=self.database.cipher.encrypt(stored))
        async with self.database.write() as connection:
            await _change(connection, change, "subscription.secret_changed", subscription_id)
        return secret

    async def activate(self, subscription_id: str) -> None:
        """Notify it of events from now on. Raises `NotFound`."""
        mine = subscription_table.update().where(subscription_table.c.id == subscription_id)
        if not await self.database.execute(mine.values(is_active=True)):
            raise _no_subscription(subscription_id)

    async def deactivate(self, subscription_id: str, reason: str) -> None:
        """Stop notifying it. Its waiting notifications fail with `reason`."""
        mine = subscription_table.update().where(subscription_table.c.id == subscription_id)
        waiting = notification_table.update().filter_by(subscription_id=subscription_id, state="waiting")
        async with self.database.write() as connection:
            await connection.execute(mine.values(is_active=False))
            await connection.execute(waiting.values(state="failed", failure=reason, next_at=None))

    async def delete(self, subscription_id: str) -> None:
        """Delete a subscription and its notifications. Raises `NotFound`."""
        deletion = subscription_table.delete().where(subscription_table.c.id == subscription_id)
        mine = notification_table.c.subscription_id == subscription_id
        async with self.database.write() as connection:
            await _change(connection, deletion, "subscription.removed", subscription_id)
            await connection.execute(notification_table.delete().where(mine))

    async def _row(self, subscription_id: str) -> Row[Any]:
        query = select(subscription_table).where(subscription_table.c.id == subscription_id)
        row = await self.database.row(query)
        if row is None:
            raise _no_subscription(subscription_id)
        return row

    def _read(self, row: Row[Any]) -> Subscription:
        url = self.database.cipher.decrypt(row.url)
        return read_row(Subscription, row, events=tuple(row.events), url=url)


@dataclass
class WebhookSources:
    """All senders of incidents, with the secrets they sign with."""

    database: Database

    async def create(self, kind: SourceKind, team: str, secret: str | None = None) -> tuple[WebhookSource, str]:
        """Create a source. Returns it and its secret: the sender's, if it makes its own, or a new one."""
        secret = secret or new_secret()
        source = WebhookSource(id=_new_id("src"), team=team, kind=kind, created_at=datetime.now(UTC))
        values = source.model_dump() | {"secret": self.database.cipher.encrypt(secret)}
        async with self.database.write() as connection:
            await connection.execute(webhook_source_table.insert().values(**values))
            details = {"id": source.id, "kind": kind}
            await write_audit(connection, actor(), "webhook_source.created", team, None, details)
        return source, secret

    async def list(self, team: str | None = None) -> Sequence[WebhookSource]:
        """All sources, or those of one team, oldest first."""
        table = webhook_source_table
        query = select(table).order_by(table.c.created_at, table.c.id)
        if team is not None:
            query = query.where(table.c.team == team)
        return [read_row(WebhookSource, row) for row in await self.database.rows(query)]

    async def find(self, source_id: str) -> tuple[WebhookSource, str] | None:
        """The active source with this id and its secret, or None."""
        table = webhook_source_table
        query = select(table).where(table.c.id == source_id, table.c.is_active)
        row = await self.database.row(query)
        return None if row is None else (read_row(WebhookSource, row), self.database.cipher.decrypt(row.secret))

    async def set_secret(self, source_id: str, secret: str) -> None:
        """Store a secret that the sender made. Raises `NotFound`."""
        table = webhook_source_table
        change = table.update().where(table.c.id == source_id).values(secret=self.database.cipher.encrypt(secret))
        async with self.database.write() as connection:
            # Audited, because the secret lets its holder send incidents for the team.
            await _change(connection, change, "webhook_source.secret_changed", source_id)

    async def delete(self, source_id: str) -> None:
        """Delete a source; its incidents stay. Raises `NotFound`."""
        deletion = webhook_source_table.delete().where(webhook_source_table.c.id == source_id)
        async with self.database.write() as connection:
            await _change(connection, deletion, "webhook_source.removed", source_id)


def new_secret() -> str:
    """A secret in the format of Standard Webhooks, with 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


async def _change(connection: AsyncConnection, change: Update | Delete, action: str, key: str) -> None:
    """Change or delete the row with the id `key` and log it. Raises `NotFound`."""
    team = (await connection.execute(change.returning(change.table.c.team))).scalar_one_or_none()
    if team is None:
        raise _no_subscription(key) if change.table is subscription_table else _no_source(key)
    await write_audit(connection, actor(), action, team, None, {"id": key})


def _new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:24]}"


def _no_subscription(subscription_id: str) -> NotFound:
    return NotFound(f"There is no subscription {subscription_id!r}.", subscription_id=subscription_id)


def _no_source(source_id: str) -> NotFound:
    return NotFound(f"There is no webhook source {source_id!r}.", source_id=source_id)
