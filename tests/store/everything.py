"""Rows for every table there is: what the tables' columns allow, made from their descriptions."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import JSON, Boolean, Column, Float, Integer, LargeBinary, String, Table
from sqlalchemy.ext.asyncio import AsyncEngine

from triage.store.encryption import EncryptedTriage
from triage.store.tables import Moment, metadata

WORDS = ("switch", "naïve 節点", "line\nbreak", 'quote " and \\', "\u2028", "tab\t", "🔥", "' OR 1=1 --", "")


async def fill_every_table(engine: AsyncEngine, rows: int = 3, seed: int = 0) -> dict[str, int]:
    """Put rows into every table of the metadata; returns how many each has, with those that were there before."""
    chance = random.Random(seed)
    async with engine.begin() as connection:
        for table in metadata.sorted_tables:
            await connection.execute(table.insert(), [_row(table, n, chance) for n in range(rows)])
    async with engine.connect() as connection:
        return {table.name: len((await connection.execute(table.select())).all()) for table in metadata.sorted_tables}


def _row(table: Table, n: int, chance: random.Random) -> dict[str, Any]:
    return {
        column.name: None if column.nullable and n % 2 else _value(table, column, n, chance) for column in table.columns
    }


def _value(table: Table, column: Column[Any], n: int, chance: random.Random) -> Any:  # noqa: PLR0911 - one for each kind
    kind = column.type
    if column.foreign_keys or (table.name == "incidents" and column.name == "id"):
        return f"incident:{n}"
    if isinstance(kind, Moment):
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=chance.randrange(10**14))
    if isinstance(kind, JSON) or isinstance(getattr(kind, "impl", None), JSON):
        return [{"a": chance.random(), "words": chance.choice(WORDS)}, [1, 2.5, True, "ü"]][n % 2]
    if isinstance(kind, EncryptedTriage):
        return '{"facets":{}}'
    if isinstance(kind, Boolean):
        return bool(n % 2)
    if isinstance(kind, LargeBinary):
        return chance.randbytes(16)
    if isinstance(kind, Float):
        return chance.random() * 1e9
    if isinstance(kind, Integer):
        return 10 * n + 7
    assert isinstance(kind, String) or isinstance(kind.impl, String), kind
    length = getattr(kind, "length", None) or 200
    return (
        f"{n}{chance.choice(WORDS)}"[:length] if column.primary_key or column.unique else chance.choice(WORDS)[:length]
    )
