"""`triage checklist`: the steps of adopting the method, with evidence and the next command."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, output, print_json, run, watching

if TYPE_CHECKING:
    from triage.insights.study.checklist import Bars, Checklist


def checklist(
    bar: Annotated[float, typer.Option(min=0, max=1, help="What kappa's whole interval must reach.")] = 0.8,
    review_days: Annotated[float, typer.Option(min=1, help="How old the latest adjudication may be.")] = 90.0,
    suites: Annotated[Path, typer.Option(help="The folder with suites.")] = Path("evals/suites"),
    runs: Annotated[Path, typer.Option(help="The folder that holds the runs.")] = Path("runs"),
    strict: Annotated[bool, typer.Option("--strict", help="End with exit code 1 if any step is open.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Measure which steps of the method this installation has taken, and say what comes next for each."""
    from triage.insights.study.checklist import DEFAULT_BARS

    found = run(_checklist(DEFAULT_BARS._replace(kappa=bar, review_days=review_days), suites, runs))
    if as_json:
        print_json({**found.model_dump(mode="json"), "is_fulfilled": found.is_fulfilled})
    else:
        _print(found)
    if strict and not found.is_fulfilled:
        raise typer.Exit(FAILURE)


async def _checklist(bars: Bars, suites: Path, runs: Path) -> Checklist:
    from triage.app.wiring.storage import live_options, open_importing
    from triage.insights.live_agreement import LiveAgreement
    from triage.insights.study import Roles
    from triage.insights.study.checklist import EvalFolders, measure_checklist

    settings = Settings()
    with watching() as progress:
        async with open_importing(settings, progress) as (casebook, store):
            live = LiveAgreement(store, casebook.taxonomy, live_options(settings))
            now = datetime.now(UTC)
            roles = Roles.load(casebook.taxonomy, settings.study_roles)
            folders = EvalFolders(suites, runs)
            return await measure_checklist(store, casebook.taxonomy, live, roles, folders, now, bars)


def _print(found: Checklist) -> None:
    console = output()
    taken = sum(step.is_fulfilled for step in found.steps)
    console.print(
        f"\n[bold]Adoption[/bold]: {taken} of {len(found.steps)} steps; taxonomy {escape(found.taxonomy)}, "
        f"{found.incidents} incidents in the history\n"
    )
    for step in found.steps:
        mark = "[green]done[/green]" if step.is_fulfilled else "[bold red]open[/bold red]"
        console.print(f"{mark}  {escape(step.title)}")
        for one in step.evidence:
            console.print(f"      [dim]{escape(one)}[/dim]")
        if not step.is_fulfilled:
            console.print(f"      next: {escape(step.next)}")
    console.print(f"\n{escape(found.source)}")
