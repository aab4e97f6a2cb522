"""Restoring a backup: into an empty database or in place of what is there, all or nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, Connection, MetaData, Table, exists, func, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.errors import Conflict, InvalidInput
from triage.observability.progress import Progress, silent
from triage.store.backup import Manifest, open_backup, read_rows, reflect, verify_backup
from triage.store.database import WRITES, create_engine
from triage.store.migrations import known_revisions, upgrade_on

# Every database has these rows, whatever was done with it.
_OWN = ("schema_info", "processes")


async def restore_backup(
    database_url: str,
    path: Path,
    *,
    replace: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
) -> Manifest:
    """Fill the database with what the backup holds, and bring it to this version.

    Everything happens in one transaction: at any failure the database stays as it was. With `dry_run` nothing is
    written. Raises `InvalidInput` for a damaged backup or one of a newer version, and `Conflict` where the database
    holds something already and is not to be replaced.
    """
    manifest = await asyncio.to_thread(verify_backup, path)
    if manifest.revision not in known_revisions():
        raise InvalidInput(
            f"{path} was made by a newer triage (revision {manifest.revision}; this version knows up to "
            f"{known_revisions()[-1]}): restore it with that one.",
            field="file",
        )
    engine = create_engine(database_url)
    try:
        async with engine.execution_options(**WRITES).begin() as connection:
            there = await connection.run_sync(reflect)
            if not replace and (filled := await _filled(connection, there)):
                raise Conflict(
                    f"The database is not empty ({', '.join(filled)}): choose an empty one, or give --replace to lose "
                    "what it holds.",
                    tables=filled,
                )
            if dry_run:
                return manifest
            await connection.run_sync(_make_anew, there, manifest.revision)
            await _fill(connection, path, manifest, progress)
            await connection.run_sync(upgrade_on)
    finally:
        await engine.dispose()
    return manifest


async def _filled(connection: AsyncConnection, there: MetaData) -> list[str]:
    return [
        table.name
        for table in there.sorted_tables
        if table.name not in _OWN and await connection.scalar(select(exists(select(text("1")).select_from(table))))
    ]


def _make_anew(connection: Connection, there: MetaData, revision: str) -> None:
    """Empty tables of `revision` in place of those that are there."""
    there.drop_all(connection)
    if inspect(connection).has_table("alembic_version"):
        connection.execute(text("DROP TABLE alembic_version"))
    upgrade_on(connection, revision)


async def _fill(connection: AsyncConnection, path: Path, manifest: Manifest, progress: Progress) -> None:
    tables = await connection.run_sync(reflect)
    if unknown := set(manifest.tables) - set(tables.tables):
        raise InvalidInput(f"{path} holds tables that are not ours: {', '.join(sorted(unknown))}.", field="file")
    done = 0
    with open_backup(path) as archive:
        for table in tables.sorted_tables:
            # The steps that made the tables may have put rows in.
            await connection.execute(table.delete())
            if table.name not in manifest.tables:
                continue
            _prepare(table)
            for portion in read_rows(archive, table):
                await connection.execute(table.insert(), portion)
                done += len(portion)
                progress("Restoring the backup", done, manifest.rows)
            if connection.dialect.name == "postgresql":
                await _count_on(connection, table)


def _prepare(table: Table) -> None:
    for column in table.columns:
        if isinstance(column.type, JSON):
            # A missing value, not the JSON value null.
            column.type = JSON(none_as_null=True)


async def _count_on(connection: AsyncConnection, table: Table) -> None:
    """Let new rows be numbered behind the restored ones. SQLite does so by itself."""
    for column in table.primary_key.columns:
        names: dict[str, Any] = {"of_table": table.name, "of_column": column.name}
        sequence = await connection.scalar(text("SELECT pg_get_serial_sequence(:of_table, :of_column)"), names)
        last = await connection.scalar(select(func.max(column))) if sequence else None
        if last is not None:
            await connection.execute(text("SELECT setval(:sequence, :last)"), {"sequence": sequence, "last": last})
