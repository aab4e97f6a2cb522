"""Errors that pass by themselves: a database or an index that is away for the moment, because it is restarted."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import sqlalchemy.exc as sql


def is_database_away(error: BaseException) -> bool:
    """True if the database could not be reached or ended the connection: what was asked of it may be asked again."""
    return any(
        isinstance(one, sql.TimeoutError)
        or (isinstance(one, (sql.OperationalError, sql.InterfaceError)) and not _is_wrong_sql(one))
        or (isinstance(one, sql.DBAPIError) and one.connection_invalidated)
        for one in _chain(error)
    )


def is_index_away(error: BaseException) -> bool:
    """True if a Chroma server could not be reached, or was just starting or stopping."""
    return any(isinstance(one, _index_errors()) for one in _chain(error))


def _is_wrong_sql(error: sql.DBAPIError) -> bool:
    # SQLite calls a missing table or column an operational error too, and it does not come by waiting.
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_ERROR"


def _index_errors() -> tuple[type[BaseException], ...]:
    # What was not imported can't have raised, and chromadb takes its time to import.
    known: list[type[BaseException]] = [ConnectionError]
    if "httpx" in sys.modules:
        known.append(sys.modules["httpx"].TransportError)
    if "chromadb.errors" in sys.modules:
        known.append(sys.modules["chromadb.errors"].InternalError)
    return tuple(known)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
