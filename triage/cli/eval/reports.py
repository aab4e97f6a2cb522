"""The report of a run: found, made, and written in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from triage.evaluation.reports import Report
    from triage.evaluation.runs import Run

RUN = typer.Argument(help="A run: its folder, the beginning of its name, a tag, or `latest`.")
ROOT = typer.Option("--out", help="The folder that holds the runs.")
BASE = typer.Option("--base", help="A run that gates compare with, as NAME=RUN or just RUN; repeatable.")
FORMATS = ("json", "markdown", "junit", "html", "csv", "plots")


def open_report(root: Path, name: str, bases: list[str], gates: list[str] | None = None) -> tuple[Run, Report]:
    """Find a run and make its report, compared with `bases`; with `gates` instead of the suite's own."""
    from triage.evaluation.archive import Archive
    from triage.evaluation.reports import report_on
    from triage.evaluation.suites import Suite

    archive = Archive(root)
    run = archive.find(name)
    if gates:
        run = run.model_copy(update={"suite": Suite.checked(run.suite, gates=gates)})
    return run, report_on(run, archive, bases)


def write_report(run: Run, report: Report, format_: str, path: Path, *, with_text: bool = True) -> None:
    """Write a report as a file of the format, or its plots into a folder."""
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.reports.html import write_html
    from triage.evaluation.reports.junit import as_junit
    from triage.evaluation.reports.markdown import as_markdown
    from triage.evaluation.reports.run_view import view_run
    from triage.evaluation.reports.tables import cases_csv
    from triage.render.charts import write_pictures

    if format_ == "html":
        write_html(path, report, run, Taxonomy.load(run.suite.taxonomy), with_text=with_text)
        return
    if format_ == "plots":
        write_pictures(path, view_run(report, run, Taxonomy.load(run.suite.taxonomy), None).charts)
        return
    make = {
        "json": lambda: report.model_dump_json(indent=2) + "\n",
        "markdown": lambda: as_markdown(report),
        "junit": lambda: as_junit(report),
        "csv": lambda: cases_csv(run),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(make[format_](), encoding="utf-8")
