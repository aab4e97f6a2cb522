"""The job queue's own database: opening it, and deleting jobs from outside the service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOSClient, DBOSPortableJSONSerializer


def sqlite_engine(url: str) -> sqlalchemy.Engine | None:
    """An engine with a write-ahead log, which makes steps ten times faster. None for databases other than SQLite."""
    if not url.startswith("sqlite"):
        return None
    engine = sqlalchemy.create_engine(url)

    @sqlalchemy.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        # NORMAL may lose the last commits in a power cut, but not in a crash; the sweep then queues their incidents
        # again. Deleted content is overwritten.
        for pragma in (
            "busy_timeout=30000",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def empty_log(engine: sqlalchemy.Engine) -> None:
    """Empty SQLite's write-ahead log, which may still contain deleted content."""
    with engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def forget_jobs(system_database_url: str, incident_ids: Sequence[str]) -> None:
    """Delete the jobs of incidents from a process that runs no queue. A service may run in another one."""
    await asyncio.to_thread(_forget, system_database_url, incident_ids)


def _forget(system_database_url: str, incident_ids: Sequence[str]) -> None:
    url = sqlalchemy.make_url(system_database_url)
    url = url.set(drivername=url.get_backend_name())
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return
    address = url.render_as_string(hide_password=False)
    engine = sqlite_engine(address)
    client = DBOSClient(
        system_database_url=address, system_database_engine=engine, serializer=DBOSPortableJSONSerializer(), lazy=True
    )
    try:
        for incident_id in incident_ids:
            first = client.list_workflows(workflow_ids=[incident_id], load_input=False, load_output=False)
            later = client.list_workflows(workflow_id_prefix=f"{incident_id}~", load_input=False, load_output=False)
            if ids := [status.workflow_id for status in (*first, *later)]:
                client.delete_workflows(ids)
    finally:
        client.destroy()
        if engine is not None:
            empty_log(engine)
            engine.dispose()
