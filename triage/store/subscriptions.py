"""Who is told of finished triages, and where incidents may come in by webhook. Their secrets are sealed."""

from __future__ import annotations

import base64
import secrets
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncEngine

from triage.domain.enums import EVENTS, Event, SubscriptionKind
from triage.domain.errors import NotFound
from triage.domain.principal import actor
from triage.intake.webhooks import SourceKind
from triage.store.audit import record
from triage.store.encryption import Sealer
from triage.store.service_tables import notification_table, subscription_table, webhook_source_table

OVERLAP = timedelta(days=1)
"""For so long after a rotation messages are signed with the former secret too."""


class Subscription(BaseModel, frozen=True):
    """Someone to be told of the incidents of `team`. An inactive one is told nothing more."""

    id: str
    team: str
    url: str
    kind: SubscriptionKind
    events: tuple[Event, ...]
    is_active: bool = True
    created_at: AwareDatetime


class WebhookSource(BaseModel, frozen=True):
    """A sender of incidents; what comes from it belongs to `team`."""

    id: str
    team: str
    kind: SourceKind
    is_active: bool = True
    created_at: AwareDatetime


class Subscriptions:
    """All subscriptions, with the secrets that sign what is sent."""

    def __init__(self, reading: AsyncEngine, writing: AsyncEngine, sealer: Sealer) -> None:
        self._engine = reading
        self._writing = writing
        self._sealer = sealer

    async def add(
        self, url: str, team: str, kind: SubscriptionKind = "generic", events: Sequence[Event] = EVENTS
    ) -> tuple[Subscription, str]:
        """Keep a new subscription. Returns it and its secret, which is not shown again."""
        secret = new_secret()
        subscription = Subscription(
            id=_new_id("sub"), team=team, url=url, kind=kind, events=tuple(events), created_at=datetime.now(UTC)
        )
        # The URL of a chat tool's incoming webhook is a secret itself.
        sealed = {"url": self._sealer.seal(url), "secret": self._sealer.seal(secret)}
        values = subscription.model_dump() | {"events": list(events)} | sealed
        async with self._writing.begin() as connection:
            await connection.execute(subscription_table.insert().values(**values))
            await record(connection, actor(), "subscription.created", team, None, {"id": subscription.id, "kind": kind})
        return subscription, secret

    async def all(self, team: str | None = None) -> list[Subscription]:
        """All subscriptions, or those of one team, oldest first."""
        query = select(subscription_table).order_by(subscription_table.c.created_at, subscription_table.c.id)
        if team is not None:
            query = query.where(subscription_table.c.team == team)
        async with self._engine.connect() as connection:
            return [self._read(row) for row in await connection.execute(query)]

    async def get(self, subscription_id: str) -> Subscription:
        """The subscription with this id. Raises `NotFound`."""
        return self._read(await self._row(subscription_id))

    async def secrets(self, subscription_id: str, now: datetime | None = None) -> tuple[str, ...]:
        """The secrets to sign with: the one in use, and for a while the one before. Raises `NotFound`."""
        kept = self._sealer.open((await self._row(subscription_id)).secret).split()
        moment = (now or datetime.now(UTC)).timestamp()
        former = [secret.split("@") for secret in kept[1:]]
        return (kept[0], *(secret for secret, until in former if moment < float(until)))

    async def rotate(self, subscription_id: str, now: datetime | None = None) -> str:
        """A new secret in place of the one in use, which signs too until `OVERLAP` is over. Raises `NotFound`."""
        now = now or datetime.now(UTC)
        former = (await self.secrets(subscription_id, now))[0]
        secret = new_secret()
        kept = f"{secret} {former}@{(now + OVERLAP).timestamp():.0f}"
        mine = subscription_table.c.id == subscription_id
        change = subscription_table.update().where(mine).values(secret=self._sealer.seal(kept))
        async with self._writing.begin() as connection:
            team = (await connection.execute(change.returning(subscription_table.c.team))).scalar_one_or_none()
            if team is None:
                raise _no_subscription(subscription_id)
            await record(connection, actor(), "subscription.secret_changed", team, None, {"id": subscription_id})
        return secret

    async def activate(self, subscription_id: str) -> None:
        """Tell it of what happens from now on."""
        await self._update(subscription_id, is_active=True)

    async def deactivate(self, subscription_id: str, reason: str) -> None:
        """Tell it nothing more. What still waits for it fails for `reason`."""
        async with self._writing.begin() as connection:
            await connection.execute(
                subscription_table.update().where(subscription_table.c.id == subscription_id).values(is_active=False)
            )
            await connection.execute(
                notification_table.update()
                .where(notification_table.c.subscription_id == subscription_id, notification_table.c.state == "waiting")
                .values(state="failed", failure=reason, next_at=None)
            )

    async def remove(self, subscription_id: str) -> None:
        """Forget a subscription and its notifications. Raises `NotFound`."""
        mine = subscription_table.c.id == subscription_id
        async with self._writing.begin() as connection:
            team = (await connection.execute(select(subscription_table.c.team).where(mine))).scalar_one_or_none()
            if team is None:
                raise _no_subscription(subscription_id)
            await connection.execute(subscription_table.delete().where(mine))
            await record(connection, actor(), "subscription.removed", team, None, {"id": subscription_id})
            await connection.execute(
                notification_table.delete().where(notification_table.c.subscription_id == subscription_id)
            )

    async def _row(self, subscription_id: str) -> Row[Any]:
        query = select(subscription_table).where(subscription_table.c.id == subscription_id)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None:
            raise _no_subscription(subscription_id)
        return row

    def _read(self, row: Row[Any]) -> Subscription:
        values = {name: getattr(row, name) for name in Subscription.model_fields}
        own = {"events": tuple(row.events), "url": self._sealer.open(row.url)}
        return Subscription.model_construct(**values | own)

    async def _update(self, subscription_id: str, **values: Any) -> None:
        async with self._writing.begin() as connection:
            changed = await connection.execute(
                subscription_table.update().where(subscription_table.c.id == subscription_id).values(**values)
            )
        if not changed.rowcount:
            raise _no_subscription(subscription_id)


class WebhookSources:
    """All senders of incidents, with the secrets that they sign with."""

    def __init__(self, reading: AsyncEngine, writing: AsyncEngine, sealer: Sealer) -> None:
        self._engine = reading
        self._writing = writing
        self._sealer = sealer

    async def add(self, kind: SourceKind, team: str, secret: str | None = None) -> tuple[WebhookSource, str]:
        """Keep a new source. Returns it and its secret: the one given, where the sender makes it, else a new one."""
        secret = secret or new_secret()
        source = WebhookSource(id=_new_id("src"), team=team, kind=kind, created_at=datetime.now(UTC))
        values = source.model_dump() | {"secret": self._sealer.seal(secret)}
        async with self._writing.begin() as connection:
            await connection.execute(webhook_source_table.insert().values(**values))
            await record(connection, actor(), "webhook_source.created", team, None, {"id": source.id, "kind": kind})
        return source, secret

    async def all(self, team: str | None = None) -> list[WebhookSource]:
        """All sources, or those of one team, oldest first."""
        table = webhook_source_table
        query = select(table).order_by(table.c.created_at, table.c.id)
        if team is not None:
            query = query.where(table.c.team == team)
        async with self._engine.connect() as connection:
            return [_read_source(row) for row in await connection.execute(query)]

    async def find(self, source_id: str) -> tuple[WebhookSource, str] | None:
        """The active source with this id and its secret, or None."""
        table = webhook_source_table
        query = select(table).where(table.c.id == source_id, table.c.is_active)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else (_read_source(row), self._sealer.open(row.secret))

    async def set_secret(self, source_id: str, secret: str) -> None:
        """Keep the secret that the sender made. Raises `NotFound`."""
        table = webhook_source_table
        change = table.update().where(table.c.id == source_id).values(secret=self._sealer.seal(secret))
        async with self._writing.begin() as connection:
            team = (await connection.execute(change.returning(table.c.team))).scalar_one_or_none()
            if team is None:
                raise NotFound(f"There is no webhook source {source_id!r}.", source_id=source_id)
            # Whoever has the secret can send incidents in the team's name.
            await record(connection, actor(), "webhook_source.secret_changed", team, None, {"id": source_id})

    async def remove(self, source_id: str) -> None:
        """Take nothing more from a source. Raises `NotFound`."""
        mine = webhook_source_table.c.id == source_id
        async with self._writing.begin() as connection:
            team = (await connection.execute(select(webhook_source_table.c.team).where(mine))).scalar_one_or_none()
            if team is None:
                raise NotFound(f"There is no webhook source {source_id!r}.", source_id=source_id)
            await connection.execute(webhook_source_table.delete().where(mine))
            await record(connection, actor(), "webhook_source.removed", team, None, {"id": source_id})


def new_secret() -> str:
    """A secret as Standard Webhooks writes it, with 256 random bits."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def _new_id(kind: str) -> str:
    return f"{kind}_{uuid.uuid4().hex[:24]}"


def _read_source(row: Row[Any]) -> WebhookSource:
    return WebhookSource.model_construct(**{name: getattr(row, name) for name in WebhookSource.model_fields})


def _no_subscription(subscription_id: str) -> NotFound:
    return NotFound(f"There is no subscription {subscription_id!r}.", subscription_id=subscription_id)
