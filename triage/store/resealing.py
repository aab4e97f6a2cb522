"""Sealing what is already stored, for the first time or with a new key, or unsealing it; beside a running service."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Column, Row, Table, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from triage.domain.errors import MisconfiguredService
from triage.observability.progress import Progress, silent
from triage.store.encryption import Sealer, is_sealed
from triage.store.engine import WRITES, create_engine
from triage.store.sealed import SealedMapping, SealedText
from triage.store.service_tables import subscription_table, webhook_source_table
from triage.store.tables import metadata, schema_info_table

BATCH = 200
"""Rows in one transaction: a service waits no longer than these take, some tens of milliseconds."""

_SEAL = "seal"
_KNOWN_TEXT = "triage"
_BUSY_S = 30
# Those who use these columns seal and open them themselves.
_SECRETS = (subscription_table.c.secret, subscription_table.c.url, webhook_source_table.c.secret)


class Resealed(NamedTuple):
    """How many rows were looked at and how many of them changed; `is_scrubbed` is False if the old texts may still be
    found in the database's files because someone was reading all the time."""

    rows: int
    changed: int
    is_scrubbed: bool


async def check_seal(writing: AsyncEngine, sealer: Sealer) -> None:
    """Raise `MisconfiguredService` unless `sealer` opens the store behind `writing`; mark a store that is new to it."""
    kept = select(schema_info_table.c.value).where(schema_info_table.c.name == _SEAL)
    async with writing.connect() as connection:
        seal = (await connection.execute(kept)).scalar_one_or_none()
    if seal is None:
        if sealer.seals:
            mark = schema_info_table.insert().values(name=_SEAL, value=sealer.seal(_KNOWN_TEXT))
            try:
                async with writing.begin() as connection:
                    await connection.execute(mark)
            except IntegrityError:
                # Another process marked it in the same moment, maybe with another key.
                await check_seal(writing, sealer)
        return
    try:
        sealer.open(seal)
    except MisconfiguredService as error:
        raise MisconfiguredService(
            "The store is sealed and none of the keys that are set opens it: set TRIAGE_ENCRYPTION_KEYS to the key "
            "that it was sealed with (behind a new one, comma-separated, if you are changing keys).",
            setting="TRIAGE_ENCRYPTION_KEYS",
        ) from error


async def reseal(database_url: str, sealer: Sealer, progress: Progress = silent) -> Resealed:
    """Bring every row to the state in which `sealer` writes: sealed with its first key, or plain.

    Stopped in between and started again it passes over what is done. Afterwards the old texts are taken out of the
    database's files. Raises `MisconfiguredService` for a text that no key opens.
    """
    engine = create_engine(database_url)
    writing = engine.execution_options(**WRITES)
    try:
        await check_seal(writing, sealer)
        tables = [(table, columns) for table in metadata.sorted_tables if (columns := list(_columns(table)))]
        async with engine.connect() as connection:
            counts = [await connection.scalar(select(func.count()).select_from(table)) or 0 for table, _ in tables]
        total, done, changed = sum(counts), 0, 0
        work = "Sealing what is stored" if sealer.seals else "Making what is stored plain"
        for table, columns in tables:
            last: Any = None
            while True:
                async with writing.begin() as connection:
                    rows = await _batch(connection, table, columns, last)
                    for row in rows:
                        changed += await _reseal_row(connection, table, columns, row, sealer)
                if not rows:
                    break
                last, done = rows[-1][0], done + len(rows)
                progress(work, min(done, total), total)
        await _move_seal(writing, sealer)
        return Resealed(done, changed, await _scrub(engine, [table for table, _ in tables]))
    finally:
        await engine.dispose()


def _columns(table: Table) -> Iterator[Column[Any]]:
    return (
        column for column in table.columns if isinstance(column.type, SealedText | SealedMapping) or column in _SECRETS
    )


async def _batch(connection: AsyncConnection, table: Table, columns: list[Column[Any]], last: Any) -> list[Row[Any]]:
    (key,) = table.primary_key.columns
    # On PostgreSQL the rows are held until they are written; on SQLite the whole database is.
    query = select(key, *columns).order_by(key).limit(BATCH).with_for_update()
    return list(await connection.execute(query if last is None else query.where(key > last)))


async def _reseal_row(
    connection: AsyncConnection, table: Table, columns: list[Column[Any]], row: Row[Any], sealer: Sealer
) -> bool:
    (key,) = table.primary_key.columns
    new: dict[Column[Any], Any] = {}
    for column, kept in zip(columns, tuple(row)[1:], strict=True):
        kind = _kind(column)
        if kept is not None and not kind.is_current(kept, sealer):
            new[column] = kind.seal(kind.open(kept, sealer), sealer)
    if new:
        await connection.execute(table.update().where(key == row[0]).values(new))
    return bool(new)


def _kind(column: Column[Any]) -> SealedText | SealedMapping:
    return column.type if isinstance(column.type, SealedText | SealedMapping) else SealedText()


async def _move_seal(writing: AsyncEngine, sealer: Sealer) -> None:
    """Let the mark say what the rows now do. Last, so that a key that is still needed is asked for until then."""
    mine = schema_info_table.c.name == _SEAL
    async with writing.begin() as connection:
        if sealer.seals:
            value = sealer.seal(_KNOWN_TEXT)
            await connection.execute(schema_info_table.update().where(mine).values(value=value))
        else:
            await connection.execute(schema_info_table.delete().where(mine))


async def _scrub(engine: AsyncEngine, tables: list[Table]) -> bool:
    if engine.dialect.name == "sqlite":
        return await asyncio.to_thread(_scrub_sqlite, engine.url.database or "")
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for table in tables:
            await connection.execute(text(f"VACUUM {table.name}"))
    return True


def _scrub_sqlite(path: str) -> bool:
    """Write the file anew without what was overwritten, and empty its write-ahead log."""
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.execute("VACUUM")
        is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return not is_busy


async def is_store_sealed(connection: AsyncConnection) -> bool:
    """True if the store is marked as sealed."""
    query = select(schema_info_table.c.value).where(schema_info_table.c.name == _SEAL)
    kept = (await connection.execute(query)).scalar_one_or_none()
    return kept is not None and is_sealed(kept)
