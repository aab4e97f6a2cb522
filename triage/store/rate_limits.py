"""The rate limits of providers, shared by all processes: the generic cell rate algorithm in one statement."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.models.chat.shared_rate_limit import Rate
from triage.store.database import Database
from triage.store.processes import SEEN_WITHIN
from triage.store.tables import process_table

_PROVIDER_CHARACTERS = 200

# PostgreSQL uses its own clock, because processes run on many machines. Tests pass `now` instead.
_NOW = "coalesce(CAST(:now AS double precision), extract(epoch from clock_timestamp())::double precision)"
_RESERVE = """
INSERT INTO provider_pace (provider, measure, full_at) VALUES (:provider, :measure, {now} + :step)
ON CONFLICT (provider, measure) DO UPDATE
SET full_at = {greatest}(provider_pace.full_at + :step, excluded.full_at)
WHERE {greatest}(provider_pace.full_at + :step, excluded.full_at) - (excluded.full_at - :step) <= :most
RETURNING full_at - {now}
"""
_HOLD = """
INSERT INTO provider_pace (provider, measure, full_at) VALUES (:provider, :measure, {now} + :step)
ON CONFLICT (provider, measure) DO UPDATE SET full_at = {greatest}(provider_pace.full_at, excluded.full_at)
"""
_WORDS = {"postgresql": {"now": _NOW, "greatest": "greatest"}, "sqlite": {"now": ":now", "greatest": "max"}}


@dataclass
class RateLimits:
    """What all processes on one database have asked of their providers. Implements the `RateLimitStore` port."""

    database: Database

    async def reserve(
        self, provider: str, rate: Rate, amount: float, ahead_s: float, owed: float = 0.0, now: float | None = None
    ) -> float | None:
        """See `RateLimitStore.reserve`, at the Unix time `now` or now."""
        step, burst_s = (amount + owed) * rate.interval_s, max(rate.burst, amount) * rate.interval_s
        values = {"step": step, "most": max(ahead_s, 0.0) + burst_s}
        async with self.database.write() as connection:
            full_in_s = await _run(connection, _RESERVE, provider, rate, values, now)
        return None if full_in_s is None else max(full_in_s - burst_s, 0.0)

    async def hold(self, provider: str, rate: Rate, seconds: float, now: float | None = None) -> None:
        """See `RateLimitStore.hold`."""
        async with self.database.write() as connection:
            await _run(connection, _HOLD, provider, rate, {"step": seconds + rate.burst * rate.interval_s}, now)

    async def processes(self) -> int:
        """See `RateLimitStore.processes`: those seen within the last minute."""
        seen = process_table.c.seen_at > datetime.now(UTC) - SEEN_WITHIN
        return max(int(await self.database.value(select(func.count()).select_from(process_table).where(seen))), 1)


async def _run(
    connection: AsyncConnection, statement: str, provider: str, rate: Rate, values: dict[str, float], now: float | None
) -> float | None:
    dialect = connection.dialect.name
    at = time.time() if now is None and dialect == "sqlite" else now
    key = {"provider": provider[:_PROVIDER_CHARACTERS], "measure": rate.measure}
    result = await connection.execute(text(statement.format(**_WORDS[dialect])), {**key, **values, "now": at})
    return result.scalar_one_or_none() if result.returns_rows else None
