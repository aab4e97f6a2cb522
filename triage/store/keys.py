"""API keys, and the sessions of browsers that signed in with one. Only a hash of each secret is stored."""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from pydantic import AwareDatetime, BaseModel
from sqlalchemy import Row, delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.errors import Conflict, NotFound
from triage.domain.principal import Principal, Scope, actor
from triage.store.audit import write_audit
from triage.store.database import Database, read_row
from triage.store.tables import key_table, session_table

_log = logging.getLogger(__name__)

LASTS = timedelta(hours=12)
"""Sessions last a working day; then the user must sign in again."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_PREFIX = "triage_"
_TEXT = re.compile(r"triage_[0-9a-f]{12}_[A-Za-z0-9_-]{43}")
_ALL = "*"
_TOUCH_S = 60
# An unknown id is compared with this, so that it takes as long as a known one.
_NO_HASH = "0" * 64


class Key(BaseModel, frozen=True):
    """A stored key. With `teams` None it is not limited to teams. After a rotation the previous secret is valid until
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
        """The teams it is limited to; None for no limit."""
        return None if self.teams is None else frozenset(self.teams)

    @property
    def principal(self) -> Principal:
        """The caller that uses this key."""
        return Principal(self.name, frozenset(self.scopes), self.team_limit, self.id)


class MadeKey(NamedTuple):
    """A key, and the text that its user sends. The text is not shown again."""

    key: Key
    text: str


@dataclass
class Keys:
    """All keys. Every change is logged in the audit log."""

    database: Database

    async def create(
        self,
        name: str,
        scopes: Collection[Scope],
        teams: Collection[str] | None = None,
        *,
        expires_at: datetime | None = None,
        requests_per_minute: int | None = None,
    ) -> MadeKey:
        """Create a key."""
        secret = secrets.token_urlsafe(32)
        key = Key(
            id=secrets.token_hex(6),
            name=name,
            scopes=tuple(dict.fromkeys(scopes)),
            teams=None if teams is None else tuple(sorted(set(teams))),
            requests_per_minute=requests_per_minute,
            created_at=datetime.now(UTC),
            expires_at=expires_at,
        )
        values = key.model_dump() | {"teams": [_ALL] if key.teams is None else key.teams}
        async with self.database.write() as connection:
            await connection.execute(key_table.insert().values(**values, hash=_hash(secret)))
            details = key.model_dump(mode="json", include={"scopes", "teams", "expires_at", "requests_per_minute"})
            await _audit(connection, "key.created", key, details)
        return MadeKey(key, f"{_PREFIX}{key.id}_{secret}")

    async def find(self, text: str) -> Key | None:
        """The key of a text, even if it has expired; None for an unknown text and for a revoked key.

        A key found by its previous text expires when that text does. Stores when it was last used, to the minute.
        """
        if not _TEXT.fullmatch(text):
            return None
        key_id, _, secret = text.removeprefix(_PREFIX).partition("_")
        row = await self.database.row(select(key_table).where(key_table.c.id == key_id))
        now = datetime.now(UTC)
        previous = row.previous_hash if row is not None and row.previous_until and now < row.previous_until else None
        digest = _hash(secret)
        # Always compare both, in constant time.
        is_current = hmac.compare_digest(digest, _NO_HASH if row is None else row.hash)
        is_previous = hmac.compare_digest(digest, previous or _NO_HASH)
        if row is None or row.revoked_at is not None or not (is_current or is_previous):
            return None
        key = _read(row)
        if not is_current:
            ends = min(row.previous_until, key.expires_at or row.previous_until)
            key = key.model_copy(update={"expires_at": ends})
        await self._touch(key, now)
        return key

    async def find_by_id(self, key_id: str) -> Key | None:
        """The key of a session, even if it has expired; None if it is revoked. Stores when it was last used."""
        row = await self.database.row(select(key_table).where(key_table.c.id == key_id))
        if row is None or row.revoked_at is not None:
            return None
        key = _read(row)
        await self._touch(key, datetime.now(UTC))
        return key

    async def list(self) -> Sequence[Key]:
        """Every key, oldest first, including revoked ones."""
        query = select(key_table).order_by(key_table.c.created_at, key_table.c.id)
        return [_read(row) for row in await self.database.rows(query)]

    async def get(self, key_id: str) -> Key:
        """The key with this id. Raises `NotFound`."""
        async with self.database.read() as connection:
            return await _get(connection, key_id)

    async def count(self) -> int:
        """How many keys are valid now."""
        now = datetime.now(UTC)
        lasts = key_table.c.expires_at.is_(None) | (key_table.c.expires_at > now)
        query = select(func.count()).select_from(key_table).where(key_table.c.revoked_at.is_(None), lasts)
        return int(await self.database.value(query))

    async def rotate(self, key_id: str, grace_s: float = 86_400) -> MadeKey:
        """Give a key a new secret. The previous one stays valid for `grace_s` seconds, older ones become invalid.

        Its sessions last no longer than the previous secret. Its expiry stays. Raises `NotFound`, and `Conflict` for a
        revoked key.
        """
        secret, until = secrets.token_urlsafe(32), datetime.now(UTC) + timedelta(seconds=grace_s)
        async with self.database.write() as connection:
            key = await _get(connection, key_id)
            if key.revoked_at is not None:
                raise Conflict(f"Key {key_id!r} is revoked: create a new one.", key_id=key_id)
            await connection.execute(
                key_table.update()
                .where(key_table.c.id == key_id)
                .values(previous_hash=key_table.c.hash, previous_until=until, hash=_hash(secret))
            )
            mine = session_table.update().where(session_table.c.key_id == key_id, session_table.c.expires_at > until)
            await connection.execute(mine.values(expires_at=until))
            await _audit(connection, "key.rotated", key, {"previous_until": until.isoformat()})
        return MadeKey(key.model_copy(update={"previous_until": until}), f"{_PREFIX}{key_id}_{secret}")

    async def revoke(self, key_id: str) -> Key:
        """Invalidate a key for good, with all its secrets. Does nothing if it is revoked. Raises `NotFound`."""
        now = datetime.now(UTC)
        async with self.database.write() as connection:
            key = await _get(connection, key_id)
            if key.revoked_at is not None:
                return key
            await connection.execute(key_table.update().where(key_table.c.id == key_id).values(revoked_at=now))
            await _audit(connection, "key.revoked", key, {})
        return key.model_copy(update={"revoked_at": now})

    async def _touch(self, key: Key, now: datetime) -> None:
        """Store that a key that has not expired was used, at most once a minute."""
        since = now - timedelta(seconds=_TOUCH_S)
        if key.is_expired(now) or (key.last_used_at is not None and key.last_used_at > since):
            return
        # A failed write must not reject the request.
        stale = key_table.c.last_used_at.is_(None) | (key_table.c.last_used_at <= since)
        mine = key_table.update().where(key_table.c.id == key.id, stale)
        try:
            await self.database.execute(mine.values(last_used_at=now))
        except SQLAlchemyError as error:
            _log.warning("Could not store when key %s was last used: %s", key.id, type(error).__name__)


def _hash(secret: str) -> str:
    # Slow hashes are for passwords, which can be guessed. 256 random bits can't, and every request hashes its key.
    return hashlib.sha256(secret.encode()).hexdigest()


async def _get(connection: AsyncConnection, key_id: str) -> Key:
    row = (await connection.execute(select(key_table).where(key_table.c.id == key_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no key {key_id!r}.", key_id=key_id)
    return _read(row)


def _read(row: Row[Any]) -> Key:
    return read_row(Key, row, scopes=tuple(row.scopes), teams=None if row.teams == [_ALL] else tuple(row.teams))


async def _audit(connection: AsyncConnection, action: str, key: Key, details: dict[str, Any]) -> None:
    team = key.teams[0] if key.teams is not None and len(key.teams) == 1 else ""
    await write_audit(connection, actor(), action, team, None, {"key": key.id, "name": key.name} | details)


@dataclass
class Sessions:
    """All sessions. One ends with its key, `LASTS` after sign-in, and at sign-out.

    If its key is rotated it ends with the grace period, see `Keys.rotate`.
    """

    database: Database
    keys: Keys

    async def create(self, key: Key) -> str:
        """Start a session of a key; returns its token, which is not shown again. Expired sessions are deleted."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        until = now + LASTS if key.expires_at is None else min(now + LASTS, key.expires_at)
        async with self.database.write() as connection:
            await connection.execute(delete(session_table).where(session_table.c.expires_at <= now))
            values = {"hash": _hash(token), "key_id": key.id, "created_at": now, "expires_at": until}
            await connection.execute(session_table.insert().values(**values))
        return token

    async def find(self, token: str) -> Key | None:
        """The key of a session, even if it has expired; None for an expired session and for a revoked key."""
        if not _TOKEN.fullmatch(token):
            return None
        lasts = session_table.c.expires_at > datetime.now(UTC)
        query = select(session_table.c.key_id).where(session_table.c.hash == _hash(token), lasts)
        key_id = await self.database.value(query)
        return None if key_id is None else await self.keys.find_by_id(key_id)

    async def delete(self, token: str) -> None:
        """End a session, if it exists."""
        await self.database.execute(delete(session_table).where(session_table.c.hash == _hash(token)))
