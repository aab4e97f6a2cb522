"""Index marks: incidents whose index entry may be outdated, marked in the transaction that changes them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.store.database import Database, chunks
from triage.store.tables import index_mark_table

_COLUMNS = 3
_MAX_PARAMETERS = 900


class HistoryVersion(NamedTuple):
    """The number of the last index mark ever written, and how many marks are still waiting."""

    last: int
    waiting: int


@dataclass
class IndexMarks:
    """The marks. Whoever updates the index deletes them afterwards."""

    database: Database

    async def list(self, before: datetime, limit: int) -> dict[str, int]:
        """Incident id -> its last mark, of incidents marked before that moment, oldest first."""
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
        return {row[0]: row[1] for row in await self.database.rows(query)}

    async def delete_through(self, marks: Mapping[str, int]) -> None:
        """Delete the marks of these incidents up to the given `seq`; later ones stay."""
        if not marks:
            return
        async with self.database.write() as connection:
            for incident_id, seq in marks.items():
                mine = (index_mark_table.c.incident_id == incident_id) & (index_mark_table.c.seq <= seq)
                await connection.execute(index_mark_table.delete().where(mine))

    async def delete(self, seqs: Collection[int]) -> None:
        """Delete exactly these marks."""
        if not seqs:
            return
        async with self.database.write() as connection:
            for chunk in chunks(sorted(seqs), _MAX_PARAMETERS):
                await connection.execute(index_mark_table.delete().where(index_mark_table.c.seq.in_(chunk)))

    async def get_version(self) -> HistoryVersion:
        """A cheap version of the history: it differs after every change, and again once the index is up to date."""
        if self.database.engine.dialect.name == "postgresql":
            last = text("SELECT last_value FROM index_marks_seq_seq")
        else:
            last = text("SELECT seq FROM sqlite_sequence WHERE name = 'index_marks'")
        async with self.database.read() as connection:
            written = (await connection.execute(last)).scalar_one_or_none() or 0
            waiting = (await connection.execute(select(func.count()).select_from(index_mark_table))).scalar_one()
        return HistoryVersion(int(written), int(waiting))


async def write_marks(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, int]:
    """Mark incidents in the transaction that changes them; returns incident id -> the mark's `seq`.

    Call this last: a mark takes its number when it is written, and other processes look for new numbers.
    """
    now, marks = datetime.now(UTC), dict[str, int]()
    for chunk in chunks(sorted(incident_ids), _MAX_PARAMETERS // _COLUMNS):
        insert = index_mark_table.insert().returning(index_mark_table.c.seq, index_mark_table.c.incident_id)
        rows = await connection.execute(insert.values([{"incident_id": key, "created_at": now} for key in chunk]))
        marks |= {row.incident_id: row.seq for row in rows}
    return marks
