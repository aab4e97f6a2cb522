"""`triage live`: how well the deployed model agrees with people's confirmations and corrections."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, output, plain_table, print_json, run

if TYPE_CHECKING:
    from triage.insights.live_agreement import LiveReport


def live(
    days: Annotated[float | None, typer.Option(min=0.01, help="The window; TRIAGE_LIVE_WINDOW_DAYS.")] = None,
    gate: Annotated[float | None, typer.Option(min=-1, max=1, help="TRIAGE_LIVE_KAPPA_GATE.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Compare the labels that triage gave lately with people's confirmations and corrections.

    The exit code is 1 if there is an alert: kappa wholly below the gate, or labels that drifted.
    """
    changes = {"live_window_days": days, "live_kappa_gate": gate}
    settings = Settings()
    report = run(_report(settings.model_copy(update={k: v for k, v in changes.items() if v is not None})))
    if as_json:
        print_json(report)
    else:
        _print(report, output())
    if report.has_alert:
        raise typer.Exit(FAILURE)


async def _report(settings: Settings) -> LiveReport:
    from triage.app.wiring.storage import open_live

    async with open_live(settings) as agreement:
        return await agreement.report()


def _print(report: LiveReport, console: Console) -> None:
    gate = "no gate" if report.gate is None else f"gate {report.gate:.2f}"
    console.print(
        f"\n[bold]Live agreement[/bold], {escape(report.taxonomy)}: the last {report.window_days:g} days, at most "
        f"{report.window_cases} cases, {gate}"
    )
    headings = ("kappa [95% interval]", "model unseen", "labelled by people", "drift of the labels")
    table = plain_table("facet", "n", *headings, right=("n",))
    for one in report.facets:
        unseen = f"{one.unseen} (n = {one.unseen.n})" if one.unseen.n else "-"
        drift = "-"
        if one.drift.p is not None and one.drift.psi is not None:
            drift = f"p {one.drift.p:.3f}, index {one.drift.psi:.2f} ({one.drift.recent}, {one.drift.reference} before)"
        kappa = (
            f"{one.kappa}, {one.state}" if one.kappa.value is not None and report.gate is not None else f"{one.kappa}"
        )
        labelled = f"{one.coverage.hits} of {one.coverage.n}"
        table.add_row(one.facet, str(one.kappa.n), *map(escape, (kappa, unseen, labelled, drift)))
    console.print(table)
    for one in report.facets:
        for alert in one.alerts:
            console.print(f"[bold red]Alert[/bold red] {escape(alert)}")
    if not report.has_alert:
        console.print("No alert.")
    console.print(f"\n{escape(report.note)}")
