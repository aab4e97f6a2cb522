"""`triage eval compare`: runs against a base run, on the cases that they share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from triage.cli.eval.reports import ROOT, open_report
from triage.cli.terminal import JSON_OPTION, fail, output, print_json
from triage.domain.errors import InvalidInput, TriageError


def compare(
    runs: Annotated[list[str], typer.Argument(help="The base run, then one or more others.")],
    root: Annotated[Path, ROOT] = Path("runs"),
    cases: Annotated[int, typer.Option(min=0, help="Show so many of the cases that changed.")] = 15,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Compare runs on the cases they share: differences with intervals, McNemar, and the cases that changed."""
    if len(runs) < 2:
        fail(InvalidInput("Name the base run and at least one other: `triage eval compare BASE OTHER`.", field="runs"))
    try:
        reports = [open_report(root, other, [runs[0]])[1] for other in runs[1:]]
    except TriageError as error:
        fail(error)
    if as_json:
        print_json([report.comparison and report.comparison.model_dump(mode="json") for report in reports])
        return
    from triage.evaluation.reports.terminal import print_comparison

    for report in reports:
        print_comparison(report.comparison, output(), cases)
    if len(reports) > 1:
        output().print(
            f"\n{len(reports)} runs were compared with one base: the more are tried, the likelier one looks better by "
            "chance. Confirm the winner on data that none of them was chosen on."
        )
