"""`triage eval`: run a suite and print its scores."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.cli import codebook, suspects
from triage.cli.terminal import FAILURE, JSON_OPTION, messages, output, print_json, run, watching
from triage.errors import TriageError
from triage.settings import Settings

if TYPE_CHECKING:
    from triage.evaluation.runs import Run

app = typer.Typer(help="Score the labels against gold labels.", no_args_is_help=True)


@app.callback()
def _group() -> None: ...


suspects.add_to(app)
codebook.add_to(app)


@app.command("run")
def run_suite(
    suite: Annotated[Path, typer.Argument(help="The suite's YAML file, as in evals/suites/.")],
    data: Annotated[Path | None, typer.Option(help="The labelled data, if the suite has none of its own.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Run a sample of so many cases.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, max=256, help="Cases at a time.")] = None,
    out: Annotated[Path, typer.Option(help="Runs are kept in folders below this one.")] = Path("runs"),
    retry_degraded: Annotated[bool, typer.Option(help="Run cases again whose answer was degraded.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Run a suite, or what an earlier run of it left, and print its scores.

    Every finished case is kept at once, so that a run can be stopped and taken up again. The exit code is 1 if any
    case failed.
    """
    changes = {"limit": limit, "concurrency": concurrency}
    failed = run(_run(suite, data, {k: v for k, v in changes.items() if v is not None}, out, retry_degraded, as_json))
    if failed:
        raise typer.Exit(FAILURE)


async def _run(
    path: Path, data_path: Path | None, changes: dict[str, int], out: Path, retry_degraded: bool, as_json: bool
) -> int:
    from triage.evaluation.report import print_report, write_summary
    from triage.evaluation.runner import run_suite as examine
    from triage.evaluation.runs import RunIdentity, default_folder
    from triage.evaluation.scoring import summarise
    from triage.evaluation.suites import Suite
    from triage.taxonomy import Taxonomy
    from triage.wiring import open_subject

    suite = Suite.load(path).model_copy(update=changes)
    taxonomy = Taxonomy.load(suite.taxonomy)
    data = suite.load_data(taxonomy, data_path)
    with watching() as progress:
        async with open_subject(Settings(), suite, taxonomy, progress) as (subject, decisive):
            folder = default_folder(out, suite, RunIdentity.of(suite, data, taxonomy, decisive))
            stages = {"history": "Embedding the history", "cases": "Running the cases"}
            result = await examine(
                suite,
                data,
                taxonomy,
                subject,
                folder,
                settings=decisive,
                retry_degraded=retry_degraded,
                progress=lambda stage, done, total, _seconds: progress(stages[stage], done, total),
            )
    summary = summarise(result, taxonomy)
    written = write_summary(summary, folder)
    if as_json:
        print_json(summary.model_dump(mode="json"))
    else:
        print_report(summary, output())
        _print_calibrated(result)
    messages().print(f"\nEvery case stands in {folder / 'cases.jsonl'}, the scores in {written}.")
    return summary.failed


def _print_calibrated(run: Run) -> None:
    """What a calibrator fitted on this run would reach on cases that it did not see; nothing where none can be."""
    from triage.evaluation.calibrating import calibrate

    try:
        calibrator = calibrate(run, precision=0.8)
    except TriageError:
        return
    console = output()
    console.print("\nWith a calibrator fitted on this run, each fold decided by one that was fitted on the others:")
    for name, facet in calibrator.facets.items():
        if facet.kappa is not None:
            console.print(
                f"  {escape(name)}: kappa {facet.kappa}, ECE {facet.ece or 0:.3f} ({facet.ece_before or 0:.3f} without)"
            )
    console.print(f"To use it: triage calibrate {escape(str(run.folder))}")
