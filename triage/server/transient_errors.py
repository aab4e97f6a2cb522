"""Transient errors: the database or the index is unavailable for a moment, for example during a restart."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import sqlalchemy.exc as sql


def is_database_away(error: BaseException) -> bool:
    """True if the database could not be reached or closed the connection: the operation can be retried."""
    return any(
        isinstance(each, sql.TimeoutError)
        or (isinstance(each, (sql.OperationalError, sql.InterfaceError)) and not _is_wrong_sql(each))
        or (isinstance(each, sql.DBAPIError) and each.connection_invalidated)
        for each in _chain(error)
    )


def is_index_away(error: BaseException) -> bool:
    """True if a Chroma server could not be reached, or was just starting or stopping."""
    return any(isinstance(each, _index_errors()) for each in _chain(error))


def _is_wrong_sql(error: sql.DBAPIError) -> bool:
    # SQLite reports a missing table or column as an operational error too, but waiting does not help.
    return getattr(error.orig, "sqlite_errorname", "") == "SQLITE_ERROR"


def _index_errors() -> tuple[type[BaseException], ...]:
    # A module that was not imported can't have raised, and importing chromadb is slow.
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
