"""One process at a time: for work on something that all share, such as filling the index anew."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from filelock import FileLock, Timeout
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

_POLL_S = 0.2


@asynccontextmanager
async def only_one(engine: AsyncEngine, what: str) -> AsyncIterator[None]:
    """Wait until no other process is in this block with the same `what`, and keep others out of it.

    PostgreSQL's advisory lock, or a lock file beside an SQLite database. A process that dies lets go.
    """
    if engine.dialect.name == "postgresql":
        key = int.from_bytes(hashlib.sha256(f"triage {what}".encode()).digest()[:8], "big", signed=True)
        async with engine.connect() as connection:
            # Not in a transaction: it would be held open, and with it old rows, for as long as the work takes.
            alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
            # Asked again and again, for a wait inside the database would hold up its maintenance.
            query = text("SELECT pg_try_advisory_lock(:key)")
            while not (await alone.execute(query, {"key": key})).scalar_one():  # noqa: ASYNC110 - others are processes
                await asyncio.sleep(_POLL_S)
            try:
                yield
            finally:
                await alone.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
        return
    database = engine.url.database
    if not database or database == ":memory:":
        yield
        return
    lock = FileLock(f"{database}.{what}.lock", thread_local=False)
    while True:
        try:
            lock.acquire(blocking=False)
            break
        except Timeout:
            await asyncio.sleep(_POLL_S)
    try:
        yield
    finally:
        lock.release()
