"""Which processes are at work on this store, and work that only one of them may do at a time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from triage.store.service_tables import process_table

SEEN_WITHIN = timedelta(seconds=60)
"""A process that was seen within this is counted as being at work."""


class Process(NamedTuple):
    """A process that was at work at `seen_at`; `role` is `all`, `api` or `worker`."""

    id: str
    role: str
    version: str
    started_at: datetime
    seen_at: datetime


class Processes:
    """The heartbeats of all processes."""

    def __init__(self, reading: AsyncEngine, writing: AsyncEngine) -> None:
        self._engine = reading
        self._writing = writing

    async def beat(self, process_id: str, role: str, version: str) -> None:
        """Say that this process is alive."""
        now = datetime.now(UTC)
        async with self._writing.begin() as connection:
            seen = await connection.execute(
                process_table.update().where(process_table.c.id == process_id).values(seen_at=now)
            )
            if seen.rowcount == 0:
                values = {"id": process_id, "role": role, "version": version, "started_at": now, "seen_at": now}
                await connection.execute(process_table.insert().values(**values))

    async def all(self) -> list[Process]:
        """Every process that has not said goodbye, those that died among them; the longest at work first."""
        query = select(*(process_table.c[name] for name in Process._fields)).order_by(process_table.c.started_at)
        async with self._engine.connect() as connection:
            return [Process(*row) for row in await connection.execute(query)]

    async def remove(self, process_id: str) -> None:
        """Forget a process: it ended, or it is dead and its work was taken over."""
        async with self._writing.begin() as connection:
            await connection.execute(process_table.delete().where(process_table.c.id == process_id))
