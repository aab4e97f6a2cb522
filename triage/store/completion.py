"""The order in which triages finished.

PostgreSQL assigns ids before it commits: a triage with a smaller id can become visible after one with a larger id.
Each writer therefore announces, with a lock that ends with its transaction, from which id on it may add a triage, and
a reader stops there. Nobody waits for anyone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.store.tables import incident_table, triage_table

# Any number that no other lock of the database has.
_LOCKS = 2511
_LAST_ID = "coalesce(pg_sequence_last_value(pg_get_serial_sequence('triages', 'id')::regclass), 0)"
_ANNOUNCE = text(f"SELECT pg_advisory_xact_lock_shared(:locks, least({_LAST_ID}, 2147483647)::int)")
_ANNOUNCED = text(
    "SELECT min(objid::bigint) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted "
    "AND classid::bigint = :locks AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def announce(connection: AsyncConnection) -> None:
    """Announce that this transaction will store a triage. Call it before the id is assigned."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_ANNOUNCE, {"locks": _LOCKS})


async def read_finished(
    connection: AsyncConnection, limit: int, after: int | None, since: datetime | None, teams: Collection[str] | None
) -> Sequence[Row[Any]]:
    """Triages with ids after `after`, up to the last id before which none can be added any more."""
    last = await read_last_final(connection)
    query = select(triage_table).where(triage_table.c.id <= last).order_by(triage_table.c.id).limit(limit)
    if after is not None:
        query = query.where(triage_table.c.id > after)
    elif since is not None:
        query = query.where(triage_table.c.created_at >= since)
    if teams is not None:
        mine = select(incident_table.c.id).where(incident_table.c.team.in_(teams))
        query = query.where(triage_table.c.incident_id.in_(mine))
    return (await connection.execute(query)).all()


async def read_last_final(connection: AsyncConnection) -> int:
    """The id up to which no triage can be added any more."""
    if connection.dialect.name == "postgresql":
        # Each statement must see what was committed before it.
        await connection.execution_options(isolation_level="READ COMMITTED")
    # Read the newest id before the locks: a later writer gets a larger id.
    newest = (await connection.execute(select(func.max(triage_table.c.id)))).scalar_one() or 0
    if connection.dialect.name == "postgresql":
        announced = (await connection.execute(_ANNOUNCED, {"locks": _LOCKS})).scalar_one()
        newest = newest if announced is None else min(newest, announced)
    return int(newest)
