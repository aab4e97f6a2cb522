"""`triage spending`: calls, tokens and cost by day and model."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, output, plain_table, print_json, run_with_store


def spending(
    days: Annotated[int, typer.Option(min=1, max=366, help="The latest days on which a model was asked.")] = 7,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show calls, tokens and cost by day (UTC) and model, counted over all processes."""
    settings = Settings()
    found = run_with_store(lambda store: store.spending.list(days))
    if as_json:
        print_json(found)
        return
    console = output()
    if not found:
        console.print("No model has been asked yet.")
        return
    figures = ("calls", "prompt tokens", "completion tokens", "cost")
    table = plain_table("day", "model", *figures, right=figures)
    for one in found:
        cost = "-" if one.cost is None else f"${one.cost:,.4f}"
        tokens = (f"{one.prompt_tokens:,}", f"{one.completion_tokens:,}")
        table.add_row(one.day, escape(one.model), f"{one.calls:,}", *tokens, cost)
    console.print(table)
    budget = [f"{settings.daily_tokens:,} tokens"] if settings.daily_tokens else []
    budget += [f"${settings.daily_cost:,.2f}"] if settings.daily_cost else []
    if budget:
        console.print(f"\nThe budget of a day: {' and '.join(budget)}; it starts anew at 00:00 UTC.")
