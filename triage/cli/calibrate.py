"""`triage calibrate`: from a finished run to calibrated probabilities and abstention."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, plain_table, print_result

if TYPE_CHECKING:
    from triage.pipeline.calibration import Calibrator, FacetCalibration


def calibrate(
    run: Annotated[Path, typer.Argument(help="The folder of a finished `triage eval run`.")],
    precision: Annotated[
        float, typer.Option(min=0, max=1, help="Abstain so that this share of the labels given is right.")
    ] = 0.8,
    out: Annotated[
        Path | None, typer.Option(help="The calibrator's file. By default where the service looks for it.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw reliability and risk-coverage into this .png, .svg or .pdf.")
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Fit how much each source counts, on a run's gold labels, and when to abstain; used from the next start on.

    All figures are from cross-fitting: each fold is decided by a rule that was fitted on the others.
    """
    from triage.app.wiring.components import calibrators_folder
    from triage.evaluation.calibrating import calibrate as fit
    from triage.evaluation.reports.charts import chart_calibration
    from triage.evaluation.runs import Run
    from triage.render.charts import format_of, write_picture

    if plot is not None:
        format_of(plot)
    finished = Run.read(run)
    calibrator = fit(finished, precision)
    path = out or calibrators_folder(Settings()) / f"{finished.folder.resolve().name}.json"
    calibrator.write(path)
    if plot is not None:
        write_picture(plot, chart_calibration(calibrator))
    print_result(calibrator, as_json, _print)
    messages().print(f"\nWritten to {escape(str(path))}" + (f", drawn in {escape(str(plot))}." if plot else "."))


def _print(calibrator: Calibrator, console: Console) -> None:
    console.print(f"\nFitted on {escape(calibrator.name)}, for {escape(calibrator.circumstances.model)}.")
    for name, facet in calibrator.facets.items():
        weights = ", ".join(f"{source} {weight:.2f}" for source, weight in facet.weights.items() if weight)
        console.print(f"\n[bold]{escape(name)}[/bold], n = {facet.n}")
        table = plain_table()
        for row in _rows(facet):
            table.add_row(*row)
        table.add_row("listens to", weights)
        console.print(table)
        if facet.precision is not None and facet.precision < facet.target_precision:
            console.print(
                f"[yellow]No threshold reaches {facet.target_precision:.0%}. "
                "Give it more history, or ask for less.[/yellow]"
            )


def _rows(facet: FacetCalibration) -> Iterator[tuple[str, str]]:
    if facet.kappa is not None:
        yield "kappa", f"{facet.kappa}, {facet.kappa_before} before; every case answered"
    if facet.ece is not None and facet.ece_before is not None:
        chance = f"; {facet.ece_by_chance:.3f} by chance with so many cases" if facet.ece_by_chance is not None else ""
        yield "ECE", f"{facet.ece:.3f}, {facet.ece_before:.3f} before{chance}"
    if facet.coverage is not None and facet.precision is not None:
        yield "answers", f"{facet.coverage:.0%} of the cases, and is right in {facet.precision:.0%} of them"
        yield "abstains", f"below {facet.abstain_below:.2f}" if facet.abstain_below else "never"
    if facet.second_label < 1:
        yield "further labels", f"from {facet.second_label:.2f} on"
