"""Re-encryption of stored text: encrypt it for the first time, change the key, or decrypt it. The service may run."""

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
from triage.store.database import Database
from triage.store.encryption import Cipher, EncryptedText, is_encrypted
from triage.store.tables import metadata, schema_info_table, subscription_table, webhook_source_table

BATCH = 200
"""Rows in one transaction. It takes some tens of milliseconds, for which a running service waits."""

# The name of the mark in `schema_info`; released versions know it.
_MARK = "seal"
_KNOWN_TEXT = "triage"
_BUSY_S = 30
# These columns are encrypted and decrypted by the code that uses them.
_SECRETS = (subscription_table.c.secret, subscription_table.c.url, webhook_source_table.c.secret)


class Reencrypted(NamedTuple):
    """How many rows were read and how many of them changed. `is_scrubbed` is False if the database's files may still
    hold the old texts, because of readers that did not end."""

    rows: int
    changed: int
    is_scrubbed: bool


async def check_keys(database: Database) -> None:
    """Raise `MisconfiguredService` unless the cipher's keys fit the store. Mark a store without a mark."""
    query = select(schema_info_table.c.value).where(schema_info_table.c.name == _MARK)
    mark = await database.value(query)
    if mark is None:
        if database.cipher.encrypts:
            value = database.cipher.encrypt(_KNOWN_TEXT)
            try:
                await database.execute(schema_info_table.insert().values(name=_MARK, value=value))
            except IntegrityError:
                # Another process marked it at the same moment, maybe with another key.
                await check_keys(database)
        return
    try:
        database.cipher.decrypt(mark)
    except MisconfiguredService as error:
        raise MisconfiguredService(
            "The store is encrypted and none of the configured keys fits: set TRIAGE_ENCRYPTION_KEYS to the key it was "
            "encrypted with (after a new one, comma-separated, if you are changing keys).",
            setting="TRIAGE_ENCRYPTION_KEYS",
        ) from error


async def reencrypt(database_url: str, cipher: Cipher, progress: Progress = silent) -> Reencrypted:
    """Rewrite every row as `cipher` writes it: encrypted with its first key, or plain.

    If it is stopped and started again, it skips what is done. At the end the old texts are removed from the database's
    files. Raises `MisconfiguredService` for a text that no key decrypts.
    """
    database = Database(database_url, cipher, is_raw=True)
    try:
        await check_keys(database)
        tables = [(table, columns) for table in metadata.sorted_tables if (columns := list(_columns(table)))]
        async with database.read() as connection:
            counts = [await connection.scalar(select(func.count()).select_from(table)) or 0 for table, _ in tables]
        total, done, changed = sum(counts), 0, 0
        work = "Encrypting stored text" if cipher.encrypts else "Decrypting stored text"
        for table, columns in tables:
            last: Any = None
            while True:
                async with database.write() as connection:
                    rows = await _batch(connection, table, columns, last)
                    for row in rows:
                        changed += await _reencrypt_row(connection, table, columns, row, cipher)
                if not rows:
                    break
                last, done = rows[-1][0], done + len(rows)
                progress(work, min(done, total), total)
        await _update_mark(database)
        return Reencrypted(done, changed, await _scrub(database.engine, [table for table, _ in tables]))
    finally:
        await database.engine.dispose()


def _columns(table: Table) -> Iterator[Column[Any]]:
    return (column for column in table.columns if isinstance(column.type, EncryptedText) or column in _SECRETS)


async def _batch(connection: AsyncConnection, table: Table, columns: list[Column[Any]], last: Any) -> list[Row[Any]]:
    (key,) = table.primary_key.columns
    # PostgreSQL locks these rows until they are written; SQLite locks the whole database.
    query = select(key, *columns).order_by(key).limit(BATCH).with_for_update()
    return list(await connection.execute(query if last is None else query.where(key > last)))


async def _reencrypt_row(
    connection: AsyncConnection, table: Table, columns: list[Column[Any]], row: Row[Any], cipher: Cipher
) -> bool:
    (key,) = table.primary_key.columns
    new: dict[Column[Any], Any] = {}
    for column, stored in zip(columns, tuple(row)[1:], strict=True):
        kind = column.type if isinstance(column.type, EncryptedText) else EncryptedText()
        if stored is not None and not kind.is_current(stored, cipher):
            new[column] = kind.encrypt(kind.decrypt(stored, cipher), cipher)
    if new:
        await connection.execute(table.update().where(key == row[0]).values(new))
    return bool(new)


async def _update_mark(database: Database) -> None:
    """Set the mark to the new state. Last, so that a key that is still needed is required until then."""
    mine, cipher = schema_info_table.c.name == _MARK, database.cipher
    if cipher.encrypts:
        await database.execute(schema_info_table.update().where(mine).values(value=cipher.encrypt(_KNOWN_TEXT)))
    else:
        await database.execute(schema_info_table.delete().where(mine))


async def _scrub(engine: AsyncEngine, tables: list[Table]) -> bool:
    if engine.dialect.name == "sqlite":
        return await asyncio.to_thread(_scrub_sqlite, engine.url.database or "")
    async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for table in tables:
            await connection.execute(text(f"VACUUM {table.name}"))
    return True


def _scrub_sqlite(path: str) -> bool:
    """Rewrite the file without overwritten text, and empty its write-ahead log."""
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.execute("VACUUM")
        is_busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        return False
    finally:
        connection.close()
    return not is_busy


async def is_store_encrypted(connection: AsyncConnection) -> bool:
    """True if the store is marked as encrypted."""
    query = select(schema_info_table.c.value).where(schema_info_table.c.name == _MARK)
    mark = (await connection.execute(query)).scalar_one_or_none()
    return mark is not None and is_encrypted(mark)
