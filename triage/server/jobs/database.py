"""The queue's own database: how it is opened, and how jobs are deleted in it from outside the service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sqlalchemy
from dbos import DBOSClient, DBOSPortableJSONSerializer


def sqlite_engine(url: str) -> sqlalchemy.Engine | None:
    """An engine with a write-ahead log where the URL is SQLite: steps then cost a tenth. None for other databases."""
    if not url.startswith("sqlite"):
        return None
    engine = sqlalchemy.create_engine(url)

    @sqlalchemy.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        # NORMAL may lose the last commits in a power cut, never in a crash; the sweep queues their incidents anew.
        # What is deleted is overwritten.
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
    """Carry what was deleted out of SQLite's write-ahead log too."""
    with engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def forget_jobs(system_database_url: str, incident_ids: Sequence[str]) -> None:
    """Delete the jobs of incidents where no queue runs in this process; a service may run in another one."""
    await asyncio.to_thread(_forget, system_database_url, incident_ids)


def _forget(system_database_url: str, incident_ids: Sequence[str]) -> None:
    url = sqlalchemy.make_url(system_database_url)
    url = url.set(drivername=url.get_backend_name())
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return
    plain = url.render_as_string(hide_password=False)
    engine = sqlite_engine(plain)
    client = DBOSClient(
        system_database_url=plain, system_database_engine=engine, serializer=DBOSPortableJSONSerializer(), lazy=True
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
