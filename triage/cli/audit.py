"""`triage audit`: who changed what."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.markup import escape

from triage.cli.keys import as_minute, run_with_keys
from triage.cli.terminal import JSON_OPTION, output, plain_table, print_json


def audit(
    incident: Annotated[str | None, typer.Option(help="Only changes to this incident.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many, the newest.")] = 50,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show who changed what, newest first: labels, deletions, keys."""
    page = run_with_keys(lambda store: store.audit.list(limit, incident_id=incident))
    if as_json:
        print_json([entry.model_dump(mode="json") for entry in page.entries])
        return
    table = plain_table("when (UTC)", "who", "what", "incident", "details")
    for entry in page.entries:
        details = ", ".join(f"{name}: {_plain(value)}" for name, value in entry.details.items() if value is not None)
        when = as_minute(entry.created_at)
        table.add_row(*map(escape, (when, entry.actor, entry.action, entry.incident_id or "", details)))
    output().print(table)


def _plain(value: Any) -> str:
    return "+".join(map(str, value)) if isinstance(value, list) else str(value)
