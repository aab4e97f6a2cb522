"""`triage ledger`: the mitigations of past incidents of one kind, and how often they worked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, TEAM_OPTION, figures_table, output, print_json, run, split_pair, watching

if TYPE_CHECKING:
    from triage.insights.ledger import Ledger


def ledger(
    category: Annotated[list[str] | None, typer.Option(help="Only this label of facet `category`.")] = None,
    failure_mode: Annotated[list[str] | None, typer.Option(help="Only this label of facet `failure_mode`.")] = None,
    severity: Annotated[list[str] | None, typer.Option(help="Only this label of facet `severity`.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="FACET=LABEL, for any other facet; repeatable.")] = None,
    incident_severity: Annotated[str | None, typer.Option(help="Only this severity in the incident's field.")] = None,
    least: Annotated[int, typer.Option(min=1, help="Withhold figures that rest on fewer incidents.")] = 5,
    team: Annotated[list[str] | None, TEAM_OPTION] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show what was tried in past incidents of one kind, how often it ended them, and the time that took."""
    short = {"category": category, "failure_mode": failure_mode, "severity": severity}
    given = {facet: list(labels) for facet, labels in short.items() if labels}
    found = run(_ledger(given, label or [], incident_severity, least, team))
    if as_json:
        print_json(found)
    else:
        _print(found, output())


async def _ledger(
    given: dict[str, list[str]], pairs: list[str], severity: str | None, least: int, teams: list[str] | None
) -> Ledger:
    from triage.app.wiring.storage import open_importing
    from triage.insights.ledger import Kind, ledger

    for pair in pairs:
        facet, name = split_pair(pair, "FACET=LABEL", "modality=embedding", "label")
        given.setdefault(facet, []).append(name)
    with watching() as progress:
        async with open_importing(Settings(), progress) as (casebook, store):
            kind = Kind.of(casebook.taxonomy, given, severity)
            return ledger(casebook.taxonomy, await store.gold.list_incidents(teams, kind.has), kind, least)


def _print(found: Ledger, console: Console) -> None:
    from triage.insights.ledger import ledger_table

    kind = [f"{facet} {' or '.join(labels)}" for facet, labels in found.labels.items()]
    kind += [f"severity {found.severity}"] if found.severity else []
    named = found.matched - len(found.untold)
    console.print(
        f"\n[bold]Mitigations[/bold] of {escape(', '.join(kind) or 'all incidents')}: {found.matched} incidents, "
        f"{named} of them name one"
    )
    if found.withheld:
        console.print(f"Too few to tell: {escape(found.withheld)}.")
    if found.entries:
        console.print(figures_table(ledger_table(found), ("withheld",)), crop=False)
    if any(entry.withheld for entry in found.entries):
        console.print(f"Figures that rest on fewer than {found.least} incidents with a known end are left empty.")
    console.print("\nThe incidents behind each figure: --json.")
    for note in (*found.notes, found.order):
        console.print(f"\n[dim]{escape(note)}[/dim]")
