"""Sessions: a browser in which somebody gave their key comes with a random token instead, of which a hash is kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncEngine

from triage.store.keys import Key, Keys
from triage.store.service_tables import session_table

LASTS = timedelta(hours=12)
"""A working day; then the key is asked for again."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


class Sessions:
    """All sessions. One ends with its key, by itself after `LASTS`, and when somebody signs out.

    When its key is rotated it ends with the grace period, see `Keys.rotate`.
    """

    def __init__(self, reading: AsyncEngine, writing: AsyncEngine, keys: Keys) -> None:
        self._engine = reading
        self._writing = writing
        self._keys = keys

    async def begin(self, key: Key) -> str:
        """Begin a session of a key; returns its token, which can't be had again. Those that are over are dropped."""
        token, now = secrets.token_urlsafe(32), datetime.now(UTC)
        until = now + LASTS if key.expires_at is None else min(now + LASTS, key.expires_at)
        async with self._writing.begin() as connection:
            await connection.execute(delete(session_table).where(session_table.c.expires_at <= now))
            values = {"hash": _hash(token), "key_id": key.id, "created_at": now, "expires_at": until}
            await connection.execute(session_table.insert().values(**values))
        return token

    async def find(self, token: str) -> Key | None:
        """The key of a session, also one that is expired; None for a session that is over and a revoked key."""
        if not _TOKEN.fullmatch(token):
            return None
        lasts = session_table.c.expires_at > datetime.now(UTC)
        async with self._engine.connect() as connection:
            query = select(session_table.c.key_id).where(session_table.c.hash == _hash(token), lasts)
            key_id = (await connection.execute(query)).scalar_one_or_none()
        return None if key_id is None else await self._keys.of_session(key_id)

    async def end(self, token: str) -> None:
        """End a session, if it is one."""
        async with self._writing.begin() as connection:
            await connection.execute(delete(session_table).where(session_table.c.hash == _hash(token)))


def _hash(token: str) -> str:
    # As for keys: nobody guesses 256 random bits.
    return hashlib.sha256(token.encode()).hexdigest()
