"""The processes that work on this store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select

from triage.store.database import Database, insert
from triage.store.tables import process_table

SEEN_WITHIN = timedelta(seconds=60)
"""A process seen within this time counts as running."""


class Process(NamedTuple):
    """A process that was running at `seen_at`; `role` is `all`, `api` or `worker`."""

    id: str
    role: str
    version: str
    started_at: datetime
    seen_at: datetime


@dataclass
class Processes:
    """The heartbeats of all processes."""

    database: Database

    async def beat(self, process_id: str, role: str, version: str) -> None:
        """Store that this process is alive."""
        now = datetime.now(UTC)
        values = {"id": process_id, "role": role, "version": version, "started_at": now, "seen_at": now}
        new = insert(self.database.engine.dialect.name, process_table).values(values)
        await self.database.execute(new.on_conflict_do_update(index_elements=["id"], set_={"seen_at": now}))

    async def list(self) -> Sequence[Process]:
        """Every process that was not deleted, including ones that died; the longest running first."""
        query = select(*(process_table.c[name] for name in Process._fields)).order_by(process_table.c.started_at)
        return [Process(*row) for row in await self.database.rows(query)]

    async def delete(self, process_id: str) -> None:
        """Delete a process that ended, or that died and whose work was taken over."""
        await self.database.execute(process_table.delete().where(process_table.c.id == process_id))
