"""Browser sessions: after sign-in with an API key the browser sends a random token. Only its hash is stored."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, select

from triage.store.database import Database
from triage.store.keys import Key, Keys
from triage.store.tables import session_table

LASTS = timedelta(hours=12)
"""A working day; then the user must sign in again."""

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


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


def _hash(token: str) -> str:
    # A fast hash will do, as for keys: 256 random bits can't be guessed.
    return hashlib.sha256(token.encode()).hexdigest()
