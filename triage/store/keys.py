"""API keys: made, found, rotated and revoked. Only a hash of each secret is kept."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Row, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from triage.domain.errors import Conflict, NotFound
from triage.domain.principal import Principal, Scope, actor
from triage.store.audit import record
from triage.store.service_tables import key_table, session_table

_log = logging.getLogger(__name__)

_PREFIX = "triage_"
_TEXT = re.compile(r"triage_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
_ALL = "*"
_TOUCH_S = 60
# What an unknown id is compared with, so that it takes as long as a known one.
_NO_HASH = "0" * 64


class Key(BaseModel, frozen=True):
    """A key as it is kept. `teams` None: it is not limited to teams. After a rotation the secret before opens until
    `previous_until`."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    teams: tuple[str, ...] | None = None
    requests_per_minute: int | None = None
    created_at: AwareDatetime
    expires_at: AwareDatetime | None = None
    revoked_at: AwareDatetime | None = None
    last_used_at: AwareDatetime | None = None
    previous_until: AwareDatetime | None = None

    def is_expired(self, now: datetime) -> bool:
        """True from `expires_at` on."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def team_limit(self) -> frozenset[str] | None:
        """The teams that it is limited to; None for no limit."""
        return None if self.teams is None else frozenset(self.teams)

    @property
    def principal(self) -> Principal:
        """Who comes with it."""
        return Principal(self.name, frozenset(self.scopes), self.team_limit, self.id)


class MadeKey(NamedTuple):
    """A key, and the text that its user sends. The text can't be had again."""

    key: Key
    text: str


class Keys:
    """All keys. Every change is in the audit log."""

    def __init__(self, reading: AsyncEngine, writing: AsyncEngine) -> None:
        self._engine = reading
        self._writing = writing

    async def create(
        self,
        name: str,
        scopes: Collection[Scope],
        teams: Collection[str] | None = None,
        *,
        expires_at: datetime | None = None,
        requests_per_minute: int | None = None,
    ) -> MadeKey:
        """Make a key."""
        secret = _new_secret()
        key = Key(
            id=secrets.token_hex(6),
            name=name,
            scopes=tuple(dict.fromkeys(scopes)),
            teams=None if teams is None else tuple(sorted(set(teams))),
            requests_per_minute=requests_per_minute,
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        values = key.model_dump() | {
            "scopes": list(key.scopes),
            "teams": [_ALL] if teams is None else list(key.teams or ()),
        }
        async with self._writing.begin() as connection:
            await connection.execute(key_table.insert().values(**values, hash=_hash(secret)))
            details = key.model_dump(mode="json", include={"scopes", "teams", "expires_at", "requests_per_minute"})
            await _record(connection, "key.created", key, details)
        return MadeKey(key, _text(key.id, secret))

    async def find(self, text: str) -> Key | None:
        """The key that a text belongs to, also one that is expired; None for an unknown text and a revoked key.

        Found by its text before a rotation it expires when that text does. Keeps when it was last used, to the minute.
        """
        if not _TEXT.fullmatch(text):
            return None
        key_id, _, secret = text.removeprefix(_PREFIX).partition("_")
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(key_table).where(key_table.c.id == key_id))).one_or_none()
        now = datetime.now(UTC)
        previous = row.previous_hash if row is not None and row.previous_until and now < row.previous_until else None
        given = _hash(secret)
        # Both are always compared, in a time that does not depend on how much fits.
        is_current = hmac.compare_digest(given, _NO_HASH if row is None else row.hash)
        is_previous = hmac.compare_digest(given, previous or _NO_HASH)
        if row is None or row.revoked_at is not None or not (is_current or is_previous):
            return None
        key = _read(row)
        if not is_current:
            ends = min(row.previous_until, key.expires_at or row.previous_until)
            key = key.model_copy(update={"expires_at": ends})
        if not key.is_expired(now):
            await self._touch(key, now)
        return key

    async def of_session(self, key_id: str) -> Key | None:
        """The key that a session was begun with, also one that is expired; None for one that is revoked.

        Keeps when it was last used, to the minute.
        """
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(key_table).where(key_table.c.id == key_id))).one_or_none()
        if row is None or row.revoked_at is not None:
            return None
        key, now = _read(row), datetime.now(UTC)
        if not key.is_expired(now):
            await self._touch(key, now)
        return key

    async def all(self) -> list[Key]:
        """Every key, oldest first, also the revoked ones."""
        async with self._engine.connect() as connection:
            query = select(key_table).order_by(key_table.c.created_at, key_table.c.id)
            return [_read(row) for row in await connection.execute(query)]

    async def get(self, key_id: str) -> Key:
        """The key with this id. Raises `NotFound`."""
        async with self._engine.connect() as connection:
            return await _get(connection, key_id)

    async def count(self) -> int:
        """How many keys open something now."""
        now = datetime.now(UTC)
        lasts = key_table.c.expires_at.is_(None) | (key_table.c.expires_at > now)
        query = select(func.count()).select_from(key_table).where(key_table.c.revoked_at.is_(None), lasts)
        async with self._engine.connect() as connection:
            return int((await connection.execute(query)).scalar_one())

    async def rotate(self, key_id: str, grace_s: float = 86_400) -> MadeKey:
        """Give a key a new secret; the one before opens for another `grace_s` seconds, one older than that no more.

        Its sessions so far last no longer than the secret before. Its expiry stays. Raises `NotFound`, and
        `Conflict` for a key that is revoked.
        """
        secret, until = _new_secret(), datetime.now(UTC) + timedelta(seconds=grace_s)
        async with self._writing.begin() as connection:
            key = await _get(connection, key_id)
            if key.revoked_at is not None:
                raise Conflict(f"Key {key_id!r} is revoked: make a new one.", key_id=key_id)
            await connection.execute(
                key_table.update()
                .where(key_table.c.id == key_id)
                .values(previous_hash=key_table.c.hash, previous_until=until, hash=_hash(secret))
            )
            mine = session_table.update().where(session_table.c.key_id == key_id, session_table.c.expires_at > until)
            await connection.execute(mine.values(expires_at=until))
            await _record(connection, "key.rotated", key, {"previous_until": until.isoformat()})
        return MadeKey(key.model_copy(update={"previous_until": until}), _text(key_id, secret))

    async def revoke(self, key_id: str) -> Key:
        """End a key for good, with all its secrets. A second time it changes nothing. Raises `NotFound`."""
        now = datetime.now(UTC)
        async with self._writing.begin() as connection:
            key = await _get(connection, key_id)
            if key.revoked_at is not None:
                return key
            await connection.execute(key_table.update().where(key_table.c.id == key_id).values(revoked_at=now))
            await _record(connection, "key.revoked", key, {})
        return key.model_copy(update={"revoked_at": now})

    async def _touch(self, key: Key, now: datetime) -> None:
        since = now - timedelta(seconds=_TOUCH_S)
        if key.last_used_at is not None and key.last_used_at > since:
            return
        # Nobody is turned away because this could not be written.
        stale = key_table.c.last_used_at.is_(None) | (key_table.c.last_used_at <= since)
        try:
            async with self._writing.begin() as connection:
                mine = key_table.update().where(key_table.c.id == key.id, stale)
                await connection.execute(mine.values(last_used_at=now))
        except SQLAlchemyError as error:
            _log.warning("Could not keep that key %s was used: %s", key.id, type(error).__name__)


def _new_secret() -> str:
    return secrets.token_urlsafe(32)


def _hash(secret: str) -> str:
    # A slow hash is for passwords, which can be guessed. Nobody guesses 256 random bits, and every request pays for it.
    return hashlib.sha256(secret.encode()).hexdigest()


def _text(key_id: str, secret: str) -> str:
    return f"{_PREFIX}{key_id}_{secret}"


async def _get(connection: AsyncConnection, key_id: str) -> Key:
    row = (await connection.execute(select(key_table).where(key_table.c.id == key_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no key {key_id!r}.", key_id=key_id)
    return _read(row)


def _read(row: Row[Any]) -> Key:
    values = {name: getattr(row, name) for name in Key.model_fields}
    teams = None if row.teams == [_ALL] else tuple(row.teams)
    return Key.model_construct(**(values | {"scopes": tuple(row.scopes), "teams": teams}))


async def _record(connection: AsyncConnection, action: str, key: Key, details: dict[str, Any]) -> None:
    team = key.teams[0] if key.teams is not None and len(key.teams) == 1 else ""
    await record(connection, actor(), action, team, None, {"key": key.id, "name": key.name} | details)
