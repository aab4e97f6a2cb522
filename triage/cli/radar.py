"""`triage radar`: recent incidents that no label fits, grouped, with a draft of a label for each group."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Column, Table

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, TEAM_OPTION, plain_table, print_result, watching, without_control
from triage.domain.errors import MisconfiguredService
from triage.render.quantities import percent

if TYPE_CHECKING:
    from triage.insights.radar import Radar, RadarGroup

_MOST_SHOWN = 10


async def radar(
    facet: Annotated[str | None, typer.Option(help="By default the finest that tells the kind of incident.")] = None,
    recent: Annotated[int, typer.Option(min=1, help="Look at so many incidents, the last to come in.")] = 1_000,
    least: Annotated[int, typer.Option(min=3, help="Fewer distinct incidents make no group.")] = 5,
    phrase: Annotated[bool, typer.Option("--phrase", help="Have the chat model word the drafts.")] = False,
    team: Annotated[list[str] | None, TEAM_OPTION] = None,
    as_yaml: Annotated[bool, typer.Option("--yaml", help="Print the drafts as labels of a taxonomy file.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Group the recent incidents that no label of a facet fits, and draft a label for each group."""
    from triage.app.wiring.models import open_model
    from triage.app.wiring.storage import open_importing
    from triage.insights import radar as radars

    if as_yaml and as_json:
        raise typer.BadParameter("give --yaml or --json, not both", param_hint="--yaml")
    settings = Settings()
    if phrase and settings.model == "none":
        raise MisconfiguredService(
            "--phrase needs a chat model, and TRIAGE_MODEL is none: set one, or leave --phrase out.", setting="model"
        )
    scope, criteria = radars.Scope(facet, recent, team), radars.DEFAULT_CRITERIA._replace(least=least)
    with watching() as progress:
        async with open_importing(settings, progress) as (casebook, store):
            found = await radars.scan_store(store, casebook, scope, criteria, progress)
        if phrase and found.groups:
            async with open_model(settings, progress) as model:
                assert model is not None  # noqa: S101 - `none` was refused above
                with progress.step("Wording the drafts"):
                    found = await radars.phrase(found, casebook.taxonomy, model)
    if as_yaml:
        sys.stdout.write(without_control(radars.as_yaml(found)))
    else:
        print_result(found, as_json, _print)


def _print(found: Radar, console: Console) -> None:
    groups = f"{len(found.groups)} group(s) that may be a kind of their own" if found.groups else "no new kind seen"
    console.print(
        f"\n[bold]Radar[/bold] for {escape(found.facet)} of {escape(found.taxonomy)}: {groups}. {found.recent} recent "
        f"incidents, {len(found.ill_fitting)} of them fit no label well; compared with {found.labelled} labelled ones."
    )
    if found.quiet is not None:
        console.print(escape(found.quiet))
    if found.degraded_reason is not None:
        console.print(f"[bold yellow]DEGRADED: {escape(found.degraded_reason)}[/bold yellow]")
    for number, group in enumerate(found.groups, start=1):
        _print_group(number, group, console)
    if not found.groups and found.ill_fitting:
        console.print(_reasons(found))
    for note in found.notes if found.groups else ():
        console.print(f"\n[dim]{escape(note)}[/dim]")
    console.print("\n[dim]All incidents and reasons: --json. The drafts for a taxonomy file: --yaml.[/dim]")


def _print_group(number: int, group: RadarGroup, console: Console) -> None:
    label = group.draft.label
    same = len(group.incidents) - group.size
    console.print(
        f"\n[bold]{number}. {group.size} incidents are alike and no label fits them[/bold]"
        + (f" (and {same} nearly the same)" if same else "")
    )
    table = plain_table(Column(style="dim", no_wrap=True), Column(ratio=1))
    nearest = ", ".join(f"{one.label} ({one.similarity:.2f})" for one in group.nearest)
    months = ", ".join(f"{month} {count}" for month, count in group.months.items())
    for name, value in (
        ("seen", f"{group.first_seen:%Y-%m-%d} to {group.last_seen:%Y-%m-%d}: {months}"),
        ("alike", f"{group.cohesion:.2f} among themselves; nearest labels: {nearest or 'none'}"),
        ("apart", f"{percent(group.apartness)} of their nearest incidents are of the group, the rest are labelled"),
        ("words", ", ".join(term.term for term in group.terms) or "none tell these from others"),
        ("draft", f"{label.id}: {label.definition}"),
        ("worded by", group.draft.by),
        ("incidents", ", ".join(group.incidents)),
    ):
        table.add_row(name, escape(value))
    console.print(Padding(table, (0, 0, 0, 2)))
    for one in group.examples:
        console.print(Padding(f"[bold]{escape(one.title or one.incident_id)}[/bold]", (0, 0, 0, 2)))
        if one.sentence:
            console.print(Padding(f"[italic]“{escape(one.sentence)}”[/italic]", (0, 0, 0, 4)))


def _reasons(found: Radar) -> Table:
    table = plain_table("fits no label well", "why")
    for one in found.ill_fitting[:_MOST_SHOWN]:
        table.add_row(escape(one.title or one.incident_id), escape(" ".join(reason.detail for reason in one.reasons)))
    return table
