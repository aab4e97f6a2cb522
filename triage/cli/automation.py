"""`triage automation`: which mitigations past incidents suggest as playbooks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, TEAM_OPTION, print_json, run, watching

if TYPE_CHECKING:
    from triage.domain.taxonomy import Taxonomy
    from triage.insights.automation import Criteria, Opportunities, Playbook
    from triage.render.tables import Table


def automation(
    least: Annotated[int, typer.Option(min=1, help="Fewer incidents make no candidate.")] = 5,
    most_minutes: Annotated[float, typer.Option(min=0.1, help="The longest median time to mitigate.")] = 180.0,
    action_minutes: Annotated[float, typer.Option(min=0, help="What a playbook needs, from detection on.")] = 5.0,
    team: Annotated[list[str] | None, TEAM_OPTION] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Rank candidates for automation, as Markdown: trigger, action, guard, time saved, the incidents behind each."""
    from triage.insights.automation import DEFAULT_CRITERIA

    criteria = DEFAULT_CRITERIA._replace(least=least, most_minutes=most_minutes, action_minutes=action_minutes)
    found, taxonomy = run(_find(criteria, team))
    if as_json:
        print_json(found)
    else:
        sys.stdout.write(markdown(found, taxonomy))


async def _find(criteria: Criteria, teams: list[str] | None) -> tuple[Opportunities, Taxonomy]:
    from triage.app.wiring.storage import open_importing
    from triage.insights.automation import opportunities, redacted_texts
    from triage.redaction import Redactor

    with watching() as progress:
        async with open_importing(Settings(), progress) as (casebook, store):
            records = await store.gold.list_incidents(teams)
            texts = redacted_texts(records, Redactor())
            return opportunities(casebook.taxonomy, records, texts, criteria), casebook.taxonomy


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
            + (f", such as {others}" if others else "")
            + (f"; words that speak against it: {', '.join(guard.words)}" if guard.words else ""),
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
