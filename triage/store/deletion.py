"""Deleting an incident with everything that is kept of it."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from triage.store import audit
from triage.store.index_marks import write_marks
from triage.store.service_tables import notification_table
from triage.store.tables import (
    annotation_table,
    assignment_table,
    incident_table,
    serving_table,
    triage_table,
    vector_table,
)

_OF_INCIDENT = (annotation_table, assignment_table, serving_table, triage_table, vector_table, notification_table)


async def delete_incident(connection: AsyncConnection, incident_id: str, actor: str) -> dict[str, int] | None:
    """Delete all rows of an incident, mark it for the index, and put that on record. None if it isn't there.

    Returns the mark that was written: incident id -> its `seq`.
    """
    found = select(incident_table.c.team).where(incident_table.c.id == incident_id).with_for_update()
    team = (await connection.execute(found)).scalar_one_or_none()
    if team is None:
        return None
    rows = {}
    for table in _OF_INCIDENT:
        deleted = await connection.execute(table.delete().where(table.c.incident_id == incident_id))
        rows[table.name] = deleted.rowcount
    await connection.execute(incident_table.delete().where(incident_table.c.id == incident_id))
    await audit.record(connection, actor, "incident.deleted", team, incident_id, {"rows": rows})
    return await write_marks(connection, [incident_id])


async def empty_log(engine: AsyncEngine) -> None:
    """Carry what was deleted out of SQLite's write-ahead log too, where its pages stand until they are overwritten."""
    if engine.dialect.name != "sqlite":
        return
    async with engine.connect() as connection:
        # A checkpoint can't run inside a transaction, and the driver opens none by itself.
        raw = await connection.get_raw_connection()
        cursor = await raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
        await cursor.close()
