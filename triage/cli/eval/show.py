"""`triage eval show`: the report of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.cli.eval.reports import ROOT, RUN, open_report, write_report
from triage.cli.terminal import JSON_OPTION, fail, messages, output, print_json
from triage.domain.errors import TriageError


def show(
    run: Annotated[str, RUN] = "latest",
    base: Annotated[str | None, typer.Option(help="A run to compare with.")] = None,
    root: Annotated[Path, ROOT] = Path("runs"),
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file too.")] = None,
    text: Annotated[bool, typer.Option(help="Show write-ups, redacted, in the HTML report.")] = True,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Print the report of a run; with --html write it as one file that needs nothing else."""
    try:
        found, report = open_report(root, run, [] if base is None else [base])
        if html is not None:
            write_report(found, report, "html", html, with_text=text)
    except TriageError as error:
        fail(error)
    if as_json:
        print_json(report.model_dump(mode="json"))
        return
    from triage.evaluation.reports.terminal import print_comparison, print_gates, print_report

    print_report(report.summary, output())
    print_gates(report.gates, output())
    if report.comparison is not None:
        print_comparison(report.comparison, output())
    if html is not None:
        messages().print(f"\nThe report is in {escape(str(html))}.")
