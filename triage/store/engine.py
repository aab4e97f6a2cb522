"""Database engines: what SQLite needs to be safe with many readers and one writer at a time."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

from sqlalchemy import Connection, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_only
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random

from triage.domain.errors import MisconfiguredService
from triage.store.encryption import Sealer
from triage.store.sealed import give_sealer

WRITES = {"triage_writes": True}
"""Execution options of a connection whose transaction will write."""

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_BUSY_S = 30
_PRAGMAS = (
    f"PRAGMA busy_timeout = {_BUSY_S * 1000}",
    "PRAGMA journal_mode = WAL",
    # An accepted incident must outlive a power cut, not only a kill.
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    # What was deleted, or sealed since, must not linger in the file.
    "PRAGMA secure_delete = ON",
)


def create_engine(database_url: str, sealer: Sealer | None = None) -> AsyncEngine:
    """An async engine for `database_url`; `sqlite:` and `postgresql:` get their async drivers.

    Its sealed columns are read and written as they lie there, unless a `sealer` opens and seals them.

    Raises `MisconfiguredService` for anything else.
    """
    try:
        url = make_url(database_url)
    except ArgumentError as error:
        raise MisconfiguredService(
            "The database URL is not one. It looks like sqlite:///folder/triage.db or postgresql://user:password@host/name.",
            setting="database_url",
        ) from error
    driver = _DRIVERS.get(url.drivername, url.drivername)
    if driver not in _DRIVERS.values():
        raise MisconfiguredService(
            f"The database {url.drivername!r} is not supported: use sqlite or postgresql.", setting="database_url"
        )
    url = url.set(drivername=driver)
    # Write-ups and documents are parameters of statements: errors that quote them would carry them into logs.
    if not driver.startswith("sqlite"):
        engine = create_async_engine(url, pool_pre_ping=True, hide_parameters=True)
        give_sealer(engine.dialect, sealer)
        return engine
    engine = create_async_engine(url, hide_parameters=True)
    give_sealer(engine.dialect, sealer)
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    # The driver's own transaction handling leaves reads and DDL outside transactions; `_begin` takes its place.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A file's first switch to the write-ahead log fails at once when another connection makes the same switch:
    # SQLite's own busy timeout does not cover it.
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
    # A transaction that reads and then writes can't wait for another writer; one that takes its turn at the start can.
    writes = connection.get_execution_options().get("triage_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
