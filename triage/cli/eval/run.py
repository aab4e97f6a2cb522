"""`triage eval run`: run a suite and print its scores."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.eval.reports import exit_code
from triage.cli.terminal import (
    FAILURE,
    INTERRUPTED,
    JSON_OPTION,
    Watch,
    interruptible,
    messages,
    output,
    print_json,
    run,
    watching,
)
from triage.domain.errors import TriageError

if TYPE_CHECKING:
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.datasets import Dataset
    from triage.evaluation.run_progress import RunProgress
    from triage.evaluation.runs import Run
    from triage.evaluation.suites import Suite
    from triage.observability.progress import Progress

_EVERY_S = 0.25
_CASES = "Running the cases"


def run_suite(
    suite: Annotated[Path, typer.Argument(help="The suite's YAML file, as in evals/suites/.")],
    data: Annotated[Path | None, typer.Option(help="The labelled data, if the suite has none of its own.")] = None,
    history: Annotated[
        Path | None, typer.Option(help="Labelled data that is the history of all cases, in place of the suite's.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Run a sample of so many cases.")] = None,
    concurrency: Annotated[int | None, typer.Option(min=1, max=256, help="Requests in flight at a time.")] = None,
    out: Annotated[Path, typer.Option(help="Runs are kept in folders below this one.")] = Path("runs"),
    retry_degraded: Annotated[bool, typer.Option(help="Run cases again whose answer was degraded.")] = False,
    cache: Annotated[
        bool, typer.Option(help="Keep the model's replies and the texts' vectors for the next run.")
    ] = True,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Run a suite, or what an earlier run of it left, and print its scores.

    Every finished case is kept at once, so that a run can be stopped and taken up again: Ctrl-C prints the scores of
    what is done, and a second one ends at once. The exit code is 1 if a case or a gate failed or the budget ended the
    run, 3 if no gate failed but the cases are too few for one, and 130 after Ctrl-C.
    """
    changes = {"limit": limit, "concurrency": concurrency}
    given: dict[str, Any] = {name: value for name, value in changes.items() if value is not None}
    if history is not None:
        given["history"] = {"data": str(history.resolve())}
    code = run(_run(suite, data, given, out, out / "cache" if cache else None, retry_degraded, as_json))
    if code:
        raise typer.Exit(code)


async def _run(
    path: Path,
    data_path: Path | None,
    changes: dict[str, Any],
    out: Path,
    cache: Path | None,
    retry_degraded: bool,
    as_json: bool,
) -> int:
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.runs import Run
    from triage.evaluation.suites import Suite

    suite = Suite.checked(Suite.load(path), **changes)
    taxonomy = Taxonomy.load(suite.taxonomy)
    data = suite.load_data(taxonomy, data_path)
    folder: Path | None = None
    first: Run | None = None
    code = 0
    for number in range(1, suite.repeats + 1):
        if number > 1:
            messages().print(f"\nRepeat {number} of {suite.repeats}")
        # Repeats measure random variation, so they don't share cached replies.
        replies = cache / f"round-{number:02}" if cache and number > 1 else cache
        folder, result, ended = await _run_round(suite, data, taxonomy, out, folder, number, replies, retry_degraded)
        first = first or result
        code = code or ended
        if ended == INTERRUPTED or (result is not None and result.stopped):
            break
    if folder is None or not (folder / "cases.jsonl").is_file():
        return code
    first = first or Run.read(folder)
    planned = len(suite.sample(data.cases))
    _print_scores(first, taxonomy, planned, as_json)
    if suite.gates and (code == INTERRUPTED or first.stopped):
        messages().print("The gates are not checked: the run is not complete.")
    elif suite.gates:
        code = _check_gates(first, out, as_json) or code
    messages().print(f"Every case stands in {folder / 'cases.jsonl'}, the scores in summary.json beside it.")
    return code


async def _run_round(
    suite: Suite,
    data: Dataset,
    taxonomy: Taxonomy,
    out: Path,
    main: Path | None,
    number: int,
    cache: Path | None,
    retry_degraded: bool,
) -> tuple[Path | None, Run | None, int]:
    """Run all cases once. Returns the folder of the whole run, the result of this round, and the exit code."""
    from triage.app.wiring.models import find_price, provider_gate
    from triage.app.wiring.suites import open_subject, suite_settings
    from triage.evaluation.run_progress import RunProgress
    from triage.evaluation.runner import run_suite as examine
    from triage.evaluation.runs import RunIdentity, default_folder, round_folder

    settings = suite_settings(Settings(), suite)
    gate, price = provider_gate(settings, suite.concurrency), find_price(settings)
    pace = RunProgress(gate, price)
    result = None
    with watching() as watch, interruptible() as interrupt:
        async with open_subject(settings, suite, taxonomy, watch, gate=gate, cache=cache) as (subject, decisive):
            main = main or default_folder(out, suite, RunIdentity.of(suite, data, taxonomy, decisive))
            with showing_pace(pace, watch) as progress:
                result = await examine(
                    suite,
                    data,
                    taxonomy,
                    subject,
                    round_folder(main, number),
                    settings=decisive,
                    retry_degraded=retry_degraded,
                    progress=progress,
                    finished=pace.finish,
                    gate=gate,
                    price=price,
                )
    messages().print(f"\nThis session: {pace}.")
    if interrupt.happened or result is None:
        messages().print(f"Stopped; {pace.done} of {pace.total} cases are done. The same command goes on from there.")
        return main, None, INTERRUPTED
    if result.stopped:
        done = len(result.records)
        messages().print(
            f"[bold yellow]Stopped by the suite's budget[/bold yellow]: {result.stopped}. {done} of {pace.total} cases "
            "are done; with a larger budget the same command goes on from there."
        )
        return main, result, FAILURE
    return main, result, FAILURE if any(record.status == "failed" for record in result.records) else 0


@contextlib.contextmanager
def showing_pace(pace: RunProgress, watch: Watch) -> Iterator[Progress]:
    """Show on `watch` what the yielded callback reports, with rate, cost and time left.

    It is drawn four times a second, however fast cases finish.
    """

    def progress(work: str, done: int, total: int) -> None:
        if work == "history":
            watch("Embedding the history", done, total)
            return
        is_first = not pace.total
        pace.reached(done, total)
        if is_first:
            watch(_CASES, done, total)

    async def show() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            if pace.done < pace.total:
                watch(_CASES, pace.done, pace.total, str(pace))

    showing = asyncio.create_task(show())
    try:
        yield progress
    finally:
        showing.cancel()
        if pace.total:
            watch(_CASES, pace.done, pace.total, str(pace))


def _check_gates(run: Run, out: Path, as_json: bool) -> int:
    from triage.evaluation.archive import Archive
    from triage.evaluation.reports import report_on
    from triage.evaluation.reports.terminal import print_gates

    report = report_on(run, Archive(out))
    print_gates(report.gates, messages() if as_json else output())
    return exit_code(report)


def _print_scores(result: Run, taxonomy: Taxonomy, planned: int, as_json: bool) -> None:
    """Print the scores; store them if the run is complete."""
    from triage.evaluation.reports.terminal import print_report
    from triage.evaluation.summary import summarise, write_summary

    summary = summarise(result, taxonomy).model_copy(update={"planned": planned})
    if planned == len(result.records):
        write_summary(summary, result.folder)
    if as_json:
        print_json(summary)
    else:
        print_report(summary, output())
        _print_calibrated(result)


def _print_calibrated(run: Run) -> None:
    """Print what a calibrator fitted on this run reaches on unseen cases; nothing if none can be fitted."""
    from triage.evaluation.calibrating import calibrate

    try:
        calibrator = calibrate(run, precision=0.8)
    except TriageError:
        return
    console = output()
    console.print(
        "\nWith a calibrator fitted on this run, each fold decided by one that was fitted on the others, "
        "and every case answered:"
    )
    for name, facet in calibrator.facets.items():
        if facet.kappa is not None:
            console.print(
                f"  {escape(name)}: kappa {facet.kappa}, ECE {facet.ece or 0:.3f} ({facet.ece_before or 0:.3f} without)"
            )
    console.print(f"To use it: triage calibrate {escape(str(run.folder))}")
