"""`triage eval gate`: does a run meet its gates?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.cli.eval.reports import BASE, ROOT, RUN, open_report, write_report
from triage.cli.terminal import FAILURE, JSON_OPTION, MISUSE, fail, messages, output, print_json
from triage.domain.errors import TriageError

if TYPE_CHECKING:
    from triage.evaluation.reports import Report

INCONCLUSIVE = 3
"""The exit code if no gate failed but there are too few cases to tell."""


def gate(
    run: Annotated[str, RUN] = "latest",
    base: Annotated[list[str] | None, BASE] = None,
    root: Annotated[Path, ROOT] = Path("runs"),
    gates: Annotated[list[str] | None, typer.Option("--gate", help="Check this gate instead of the suite's.")] = None,
    accept_inconclusive: Annotated[
        bool, typer.Option(help="Exit with 0 where no gate failed but some can't be told from so few cases.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the result as JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Check the gates of a run. Exit code 0: met; 1: one failed; 2: misuse; 3: too few cases to tell."""
    try:
        found, report = open_report(root, run, base or [], gates)
        for format_, path in (("junit", junit), ("markdown", markdown)):
            if path is not None:
                write_report(found, report, format_, path)
    except TriageError as error:
        fail(error)
    if as_json:
        print_json([one.model_dump(mode="json") for one in report.gates])
    elif not report.gates:
        messages().print(
            f"Suite {escape(found.suite.name)} has no gates: add `gates: [kappa.FACET >= 0.7]` to it, or give --gate."
        )
        raise typer.Exit(MISUSE)
    else:
        from triage.evaluation.reports.terminal import print_gates

        print_gates(report.gates, output())
    code = exit_code(report, accept_inconclusive=accept_inconclusive)
    if code:
        raise typer.Exit(code)


def exit_code(report: Report, *, accept_inconclusive: bool = False) -> int:
    """0 if all gates are met, 1 if one failed, 3 if there are too few cases to tell."""
    found = {one.status for one in report.gates}
    if "failed" in found:
        return FAILURE
    return INCONCLUSIVE if "inconclusive" in found and not accept_inconclusive else 0
