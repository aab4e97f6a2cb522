"""Statements as both databases take them: inserts that may meet a taken key, and ids in portions."""

from __future__ import annotations

from collections.abc import Collection
from typing import TypeVar

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

CHUNK = 500


def insert(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that can say what is to happen where a key is taken."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def insert_or_leave(dialect: str, table: Table) -> sqlite.Insert | postgresql.Insert:
    """An insert that leaves rows as they are whose key is taken."""
    return insert(dialect, table).on_conflict_do_nothing()


def chunks(values: Collection[T], size: int = CHUNK) -> list[list[T]]:
    """Portions of `values` that fit into one statement."""
    listed = list(values)
    return [listed[i : i + size] for i in range(0, len(listed), size)]
