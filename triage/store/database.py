"""The database connection: engines for SQLite and PostgreSQL, and the statements that both understand."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeVar

from pydantic import BaseModel
from sqlalchemy import Connection, Executable, Row, Table, event, make_url
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from triage.domain.errors import MisconfiguredService
from triage.store.encryption import Cipher, set_cipher

WRITES = {"triage_writes": True}
"""Execution options of a connection whose transaction will write."""

T = TypeVar("T")
Model = TypeVar("Model", bound=BaseModel)

AnyRow = Row[*tuple[Any, ...]]
"""A row of any columns."""

CHUNK = 500
"""How many values fit into one statement on both databases."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_BUSY_S = 30
_PRAGMAS = (
    f"PRAGMA busy_timeout = {_BUSY_S * 1000}",
    "PRAGMA journal_mode = WAL",
    # An accepted incident must survive a power cut, not only a killed process.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # Overwrite deleted text in the file, including text that was encrypted later.
    "PRAGMA secure_delete = ON",
)


class Database:
    """The engine that all parts of a store share. With `is_raw`, encrypted columns are read and written as stored."""

    def __init__(self, url: str, cipher: Cipher | None = None, *, is_raw: bool = False) -> None:
        self.cipher = cipher or Cipher()
        self.engine = create_engine(url, None if is_raw else self.cipher)
        self._writing = self.engine.execution_options(**WRITES)

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection for reading."""
        return self.engine.connect()

    def write(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """A connection in a transaction that is committed at the end of the block."""
        return self._writing.begin()

    async def rows(self, query: Executable) -> Sequence[AnyRow]:
        """All rows of a query."""
        async with self.read() as connection:
            return (await connection.execute(query)).all()

    async def rows_of(self, keys: Collection[T], query: Callable[[list[T]], Executable]) -> Sequence[AnyRow]:
        """All rows for `keys`, which `query` gets in chunks."""
        async with self.read() as connection:
            return [row for chunk in chunks(keys) for row in await connection.execute(query(chunk))]

    async def row(self, query: Executable) -> AnyRow | None:
        """The only row of a query, or None."""
        async with self.read() as connection:
            return (await connection.execute(query)).one_or_none()

    async def values(self, query: Executable) -> list[Any]:
        """The first column of a query."""
        async with self.read() as connection:
            return list((await connection.execute(query)).scalars())

    async def value(self, query: Executable) -> Any:
        """The first column of the only row of a query, or None."""
        async with self.read() as connection:
            return (await connection.execute(query)).scalar_one_or_none()

    async def execute(self, statement: Executable) -> int:
        """Run one statement in a transaction of its own; returns how many rows it changed."""
        async with self.write() as connection:
            return (await connection.execute(statement)).rowcount

    async def empty_log(self) -> None:
        """Remove deleted text from SQLite's write-ahead log too, where pages stay until they are overwritten."""
        if self.engine.dialect.name != "sqlite":
            return
        async with self.read() as connection:
            # A checkpoint can't run inside a transaction, and the driver opens none by itself.
            raw = await connection.get_raw_connection()
            cursor = await raw.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
            await cursor.close()


def create_engine(database_url: str, cipher: Cipher | None = None) -> AsyncEngine:
    """An async engine for a `sqlite:` or `postgresql:` URL. Raises `MisconfiguredService` for any other URL.

    Without a `cipher`, encrypted columns are read and written as stored.
    """
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise MisconfiguredService(
            "The database URL is not valid. Use sqlite:///folder/triage.db or postgresql://user:password@host/name.",
            setting="database_url",
        ) from error
    driver = _DRIVERS.get(url.drivername, url.drivername)
    if driver not in _DRIVERS.values():
        raise MisconfiguredService(
            f"The database {url.drivername!r} is not supported: use sqlite or postgresql.", setting="database_url"
        )
    is_sqlite = driver.startswith("sqlite")
    # Statement parameters include write-ups, so errors must not quote them into logs.
    engine = create_async_engine(url.set(drivername=driver), pool_pre_ping=not is_sqlite, hide_parameters=True)
    set_cipher(engine.dialect, cipher)
    if is_sqlite:
        event.listen(engine.sync_engine, "connect", _prepare)
        event.listen(engine.sync_engine, "begin", _begin)
    return engine


def insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that supports `on_conflict_...`."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def read_row(model: type[Model], row: AnyRow, **fields: Any) -> Model:
    """The value whose fields are columns of the row, except those passed in.

    It is not validated again, so it stays readable if the rules become stricter.
    """
    stored = {name: getattr(row, name) for name in model.model_fields if name not in fields}
    return model.model_construct(**stored, **fields)


def chunks(values: Collection[T], size: int = CHUNK) -> list[list[T]]:
    """`values` in lists of at most `size`, so that each fits into one statement."""
    listed = list(values)
    return [listed[i : i + size] for i in range(0, len(listed), size)]


def _prepare(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling leaves reads and DDL outside transactions; `_begin` replaces it.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A file's first switch to the write-ahead log fails at once if another connection is switching too:
    # SQLite's busy timeout does not cover it.
    for attempt in Retrying(
        retry=retry_if_exception_type(sqlite3.OperationalError),
        wait=wait_random(0.01, 0.1),
        stop=stop_after_delay(_BUSY_S),
        sleep=lambda seconds: await_only(asyncio.sleep(seconds)),
        reraise=True,
    ):
        with attempt:
            for pragma in _PRAGMAS:
                cursor.execute(pragma)
    cursor.close()


def _begin(connection: Connection) -> None:
    # A transaction that reads before it writes can't wait for another writer; one that starts as a writer can.
    writes = connection.get_execution_options().get("triage_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
