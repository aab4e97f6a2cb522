"""What model calls cost, by day (UTC) and model, over all processes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.models.chat.budget import Budget, Taken, explain_if_used_up
from triage.store.database import Database, insert, read_row
from triage.store.tables import spending_table

_FIGURES = Taken._fields


class DaySpending(BaseModel, frozen=True):
    """What one model used on one day. `cost` is in US dollars, None if the model has no known price."""

    day: str
    model: str
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None = None


@dataclass
class Spending:
    """The spending on one database. Implements the `Ledger` port.

    Usage of the models in `free` does not count towards a budget.
    """

    database: Database
    free: Collection[str] = ()

    def excluding(self, *free: str) -> Spending:
        """The same spending, in which these models count towards no budget."""
        return replace(self, free=free)

    async def reserve(self, day: str, model: str, expected: Taken, budget: Budget, *, is_priced: bool) -> Taken:
        """See `Ledger.reserve`."""
        async with self.database.write() as connection:
            before = await self._taken(connection, day)
            if not explain_if_used_up(day, before, budget):
                await _add(connection, day, model, expected, is_priced=is_priced)
        return before

    async def add(self, day: str, model: str, taken: Taken, *, is_priced: bool) -> None:
        """See `Ledger.add`."""
        async with self.database.write() as connection:
            await _add(connection, day, model, taken, is_priced=is_priced)

    async def list(self, days: int = 7) -> Sequence[DaySpending]:
        """The latest `days` with model calls, newest first, by model."""
        latest = select(spending_table.c.day).distinct().order_by(spending_table.c.day.desc()).limit(days)
        query = (
            select(spending_table)
            .where(spending_table.c.day.in_(latest))
            .order_by(spending_table.c.day.desc(), spending_table.c.model)
        )
        rows = await self.database.rows(query)
        return [read_row(DaySpending, row, cost=row.cost if row.is_priced else None) for row in rows]

    async def _taken(self, connection: AsyncConnection, day: str) -> Taken:
        sums = [func.coalesce(func.sum(spending_table.c[name]), 0) for name in _FIGURES]
        counted = (spending_table.c.day == day) & spending_table.c.model.not_in(self.free)
        calls, prompt, completion, cost = (await connection.execute(select(*sums).where(counted))).one()
        return Taken(int(calls), int(prompt), int(completion), float(cost))


async def _add(connection: AsyncConnection, day: str, model: str, taken: Taken, *, is_priced: bool) -> None:
    values = {"day": day, "model": model, "is_priced": is_priced, **taken._asdict()}
    added: Any = insert(connection.dialect.name, spending_table).values(values)
    sums: dict[str, Any] = {name: spending_table.c[name] + added.excluded[name] for name in _FIGURES}
    await connection.execute(
        added.on_conflict_do_update(
            index_elements=["day", "model"], set_={**sums, "is_priced": added.excluded.is_priced}
        )
    )
