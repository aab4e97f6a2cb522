"""`triage summary`, `ledger` and `automation`: what past incidents tell about mitigations."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import (
    JSON_OPTION,
    TEAM_OPTION,
    figures_table,
    messages,
    print_json,
    print_result,
    split_pair,
    watching,
    without_control,
)
from triage.domain.errors import InvalidInput
from triage.render.atomic_write import write_atomically

if TYPE_CHECKING:
    from triage.domain.taxonomy import Taxonomy
    from triage.insights.automation import Opportunities, Playbook
    from triage.insights.ledger import Ledger
    from triage.render.tables import Table


async def summary(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    out: Annotated[Path | None, typer.Option(help="Write it to this file.", show_default=False)] = None,
) -> None:
    """Draft a post-incident summary in Markdown: times, labels, quotes, similar incidents, open questions.

    Made from what is stored of the incident; no model is asked.
    """
    from triage.app.wiring.storage import open_store
    from triage.insights.study import Roles
    from triage.insights.summary import read_summary

    if out is not None and not out.parent.is_dir():
        raise InvalidInput(f"There is no folder {out.parent}: make it, or name another file.", field="out")
    settings = Settings()
    async with open_store(settings) as (store, taxonomy):
        draft = await read_summary(store, incident, taxonomy, Roles.load(taxonomy, settings.study_roles))
    if out is None:
        sys.stdout.write(without_control(draft) if sys.stdout.isatty() else draft)
        return
    write_atomically(out, draft)
    messages().print(f"Written to {escape(str(out))}.")


async def ledger(
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
    from triage.app.wiring.storage import open_importing
    from triage.insights.ledger import Kind
    from triage.insights.ledger import ledger as read_ledger

    short = {"category": category, "failure_mode": failure_mode, "severity": severity}
    given = {facet: list(labels) for facet, labels in short.items() if labels}
    for pair in label or []:
        facet, name = split_pair(pair, "FACET=LABEL", "modality=embedding", "label")
        given.setdefault(facet, []).append(name)
    with watching() as progress:
        async with open_importing(Settings(), progress) as (casebook, store):
            kind = Kind.of(casebook.taxonomy, given, incident_severity)
            found = read_ledger(casebook.taxonomy, await store.gold.list_incidents(team, kind.has), kind, least)
    print_result(found, as_json, _print_ledger)


def _print_ledger(found: Ledger, console: Console) -> None:
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


async def automation(
    least: Annotated[int, typer.Option(min=1, help="Fewer incidents make no candidate.")] = 5,
    most_minutes: Annotated[float, typer.Option(min=0.1, help="The longest median time to mitigate.")] = 180.0,
    action_minutes: Annotated[float, typer.Option(min=0, help="What a playbook needs, from detection on.")] = 5.0,
    team: Annotated[list[str] | None, TEAM_OPTION] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Rank candidates for automation, as Markdown: trigger, action, guard, time saved, the incidents behind each."""
    from triage.app.wiring.storage import open_importing
    from triage.insights.automation import DEFAULT_CRITERIA, opportunities, redacted_texts
    from triage.redaction import Redactor

    criteria = DEFAULT_CRITERIA._replace(least=least, most_minutes=most_minutes, action_minutes=action_minutes)
    with watching() as progress:
        async with open_importing(Settings(), progress) as (casebook, store):
            records = await store.gold.list_incidents(team)
            found = opportunities(casebook.taxonomy, records, redacted_texts(records, Redactor()), criteria)
    if as_json:
        print_json(found)
    else:
        sys.stdout.write(markdown(found, casebook.taxonomy))


def markdown(found: Opportunities, taxonomy: Taxonomy) -> str:
    """The report as Markdown, with the names of kinds and actions."""
    from triage.insights.automation import near_miss_table

    lines = [f"# Automation opportunities\n\nFrom {found.incidents} past incidents, taxonomy {found.taxonomy}.\n"]
    if not found.playbooks:
        lines.append("No pair of kind and action is frequent, repeatable and fast. The nearest are below.\n")
    lines += [_section(rank, one, taxonomy) for rank, one in enumerate(found.playbooks, start=1)]
    if found.near_misses:
        lines += ["## Frequent, and yet no candidate\n", *_rows(near_miss_table(found, taxonomy)), ""]
    lines += ["## What the figures assume\n", *(f"- {assumption}" for assumption in found.assumptions)]
    return "\n".join(lines) + "\n"


def _section(rank: int, one: Playbook, taxonomy: Taxonomy) -> str:
    from triage.insights.automation import kind_name

    kind, actions = kind_name(taxonomy, one.trigger), taxonomy.mitigation
    interval, guard = one.saving.interval, one.guard
    saved = f"{one.saving.mean:.0f} minutes per incident"
    saved += f" [{interval.low:.0f}, {interval.high:.0f}], {one.saving.n} incidents" if interval else ", one value only"
    others = ", ".join(
        f"{actions.label(other).name if actions else other} ({count})" for other, count in guard.others.items()
    )
    return "\n".join(
        [
            f"## {rank}. {one.name}, in incidents of {kind}\n",
            f"- **Trigger**: {kind}; words: {', '.join(one.words) or 'none tell these from others'}",
            f"- **Action**: {one.definition}",
            f"- **Guard**: not where it needed more ({len(guard.not_enough)} incidents: {_ids(guard.not_enough)}) or "
            f"something else was done ({len(guard.otherwise)}: {_ids(guard.otherwise)})"
            + (f", such as {others}" if others else ""),
            f"- **Record**: tried in {one.tried}, ended it alone in {one.ended}; minutes: median (quartiles), n: "
            f"{one.times}",
            f"- **Would save**: {saved}",
            f"- **Incidents**: {_ids(one.incidents)}\n",
        ]
    )


def _rows(table: Table) -> list[str]:
    from triage.render.tables import format_cell

    lines = [[column.name for column in table.columns], ["---"] * len(table.columns)]
    kinds = [column.kind for column in table.columns]
    lines += [[format_cell(*one) or "-" for one in zip(row.cells, kinds, strict=True)] for row in table.rows]
    return [f"| {' | '.join(line)} |" for line in lines]


def _ids(incidents: tuple[str, ...]) -> str:
    return ", ".join(incidents) or "none"
