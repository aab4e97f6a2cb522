"""Marks of incidents whose entry in the index may differ from the gold labels. Written with the change itself."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from triage.store.service_tables import index_mark_table
from triage.store.statements import chunks

_COLUMNS = 3
_MOST_VALUES = 900


class Change(NamedTuple):
    """How far the history has come: the last mark that was ever written, and how many are not worked off."""

    last: int
    waiting: int


async def write_marks(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, int]:
    """Mark incidents in the transaction that changes them; returns incident id -> the mark's `seq`.

    Write them last: a mark's number is taken when it is written, and others look for new ones.
    """
    now, marked = datetime.now(UTC), dict[str, int]()
    for chunk in chunks(sorted(incident_ids), _MOST_VALUES // _COLUMNS):
        insert = index_mark_table.insert().returning(index_mark_table.c.seq, index_mark_table.c.incident_id)
        rows = await connection.execute(insert.values([{"incident_id": key, "created_at": now} for key in chunk]))
        marked |= {row.incident_id: row.seq for row in rows}
    return marked


class IndexMarks:
    """The marks, for those who bring the index in line and then take them away."""

    def __init__(self, engine: AsyncEngine, writing: AsyncEngine) -> None:
        self._engine = engine
        self._writing = writing

    async def left(self, before: datetime, limit: int) -> dict[str, int]:
        """Incident id -> its last mark, of incidents that were marked before that moment, oldest first."""
        oldest = (
            select(index_mark_table.c.incident_id)
            .where(index_mark_table.c.created_at < before)
            .group_by(index_mark_table.c.incident_id)
            .order_by(func.min(index_mark_table.c.seq))
            .limit(limit)
        )
        query = (
            select(index_mark_table.c.incident_id, func.max(index_mark_table.c.seq))
            .where(index_mark_table.c.incident_id.in_(oldest.scalar_subquery()))
            .group_by(index_mark_table.c.incident_id)
        )
        async with self._engine.connect() as connection:
            return {row[0]: row[1] for row in await connection.execute(query)}

    async def take_away(self, seen: Mapping[str, int]) -> None:
        """Take away the marks of these incidents up to the `seq` that was seen; later ones stay."""
        if not seen:
            return
        async with self._writing.begin() as connection:
            for incident_id, seq in seen.items():
                mine = (index_mark_table.c.incident_id == incident_id) & (index_mark_table.c.seq <= seq)
                await connection.execute(index_mark_table.delete().where(mine))

    async def take_away_exactly(self, seqs: Collection[int]) -> None:
        """Take away these marks and no others."""
        if not seqs:
            return
        async with self._writing.begin() as connection:
            for chunk in chunks(sorted(seqs), _MOST_VALUES):
                await connection.execute(index_mark_table.delete().where(index_mark_table.c.seq.in_(chunk)))

    async def change(self) -> Change:
        """A cheap sign of whether the history changed: it differs after every change and once the index follows."""
        if self._engine.dialect.name == "postgresql":
            last = text("SELECT last_value FROM index_marks_seq_seq")
        else:
            last = text("SELECT seq FROM sqlite_sequence WHERE name = 'index_marks'")
        async with self._engine.connect() as connection:
            written = (await connection.execute(last)).scalar_one_or_none() or 0
            waiting = (await connection.execute(select(func.count()).select_from(index_mark_table))).scalar_one()
        return Change(int(written), int(waiting))
