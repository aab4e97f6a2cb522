"""`triage spending`: what the models took, by day and model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, output, print_json, run

if TYPE_CHECKING:
    from triage.store.spending import DaySpending


def spending(
    days: Annotated[int, typer.Option(min=1, max=366, help="The latest days on which a model was asked.")] = 7,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show calls, tokens and cost by day (UTC) and model, counted over all processes."""
    settings = Settings()
    found = run(_days(settings, days))
    if as_json:
        print_json([one.model_dump(mode="json") for one in found])
        return
    console = output()
    if not found:
        console.print("No model has been asked yet.")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("day")
    table.add_column("model", overflow="fold")
    for heading in ("calls", "prompt tokens", "completion tokens", "cost"):
        table.add_column(heading, justify="right")
    for one in found:
        cost = "-" if one.cost is None else f"${one.cost:,.4f}"
        figures = (f"{one.calls:,}", f"{one.prompt_tokens:,}", f"{one.completion_tokens:,}", cost)
        table.add_row(one.day, escape(one.model), *figures)
    console.print(table)
    budget = [f"{settings.daily_tokens:,} tokens"] if settings.daily_tokens else []
    budget += [f"${settings.daily_cost:,.2f}"] if settings.daily_cost else []
    if budget:
        console.print(f"\nThe budget of a day: {' and '.join(budget)}; it starts anew at 00:00 UTC.")


async def _days(settings: Settings, days: int) -> Sequence[DaySpending]:
    from triage.app.wiring import open_store

    async with open_store(settings) as (store, _):
        return await store.spending.list(days)
