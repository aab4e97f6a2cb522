"""`triage eval list`, `show`, `compare`, `gate`, `export` and `tag`: finished runs and their reports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.cli.terminal import FAILURE, JSON_OPTION, MISUSE, messages, output, plain_table, print_json
from triage.domain.errors import InvalidInput

if TYPE_CHECKING:
    from triage.evaluation.reports import Report
    from triage.evaluation.runs import Run

INCONCLUSIVE = 3
"""The exit code if no gate failed but there are too few cases to tell."""

_RUN = typer.Argument(help="A run: its folder, the beginning of its name, a tag, or `latest`.")
_ROOT = typer.Option("--out", help="The folder that holds the runs.")
_BASE = typer.Option("--base", help="A run that gates compare with, as NAME=RUN or just RUN; repeatable.")
_FORMATS = ("json", "markdown", "junit", "html", "csv", "plots")


def list_runs(
    root: Annotated[Path, _ROOT] = Path("runs"),
    suite: Annotated[str | None, typer.Option(help="Only the runs of this suite.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """List the runs, newest first, with their agreement."""
    from triage.evaluation.archive import Archive, listed

    rows = [row for row in listed(Archive(root)) if suite is None or row.suite == suite]
    if as_json:
        print_json(rows)
        return
    if not rows:
        messages().print(f"There is no run below {escape(str(root))} yet: `triage eval run SUITE` makes one.")
        return
    table = plain_table("run", "started", "model", "cases", "kappa [95%]", "tags")
    for row in rows:
        kappa = "\n".join(f"{facet} {value}" for facet, value in row.kappa.items()) or "not finished"
        started = f"{row.started_at:%Y-%m-%d %H:%M}"
        table.add_row(*map(escape, (row.run, started, row.model, str(row.cases or "-"), kappa, " ".join(row.tags))))
    output().print(table)


def show(
    run: Annotated[str, _RUN] = "latest",
    base: Annotated[str | None, typer.Option(help="A run to compare with.")] = None,
    root: Annotated[Path, _ROOT] = Path("runs"),
    html: Annotated[Path | None, typer.Option(help="Write the report as one HTML file too.")] = None,
    text: Annotated[bool, typer.Option(help="Show write-ups, redacted, in the HTML report.")] = True,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Print the report of a run; with --html write it as one file that needs nothing else."""
    found, report = _open_report(root, run, [] if base is None else [base])
    if html is not None:
        _write_report(found, report, "html", html, with_text=text)
    if as_json:
        print_json(report)
        return
    from triage.evaluation.reports.terminal import print_comparison, print_gates, print_report

    print_report(report.summary, output())
    print_gates(report.gates, output())
    if report.comparison is not None:
        print_comparison(report.comparison, output())
    if html is not None:
        messages().print(f"\nThe report is in {escape(str(html))}.")


def compare(
    runs: Annotated[list[str], typer.Argument(help="The base run, then one or more others.")],
    root: Annotated[Path, _ROOT] = Path("runs"),
    cases: Annotated[int, typer.Option(min=0, help="Show so many of the cases that changed.")] = 15,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Compare runs on the cases they share: differences with intervals, McNemar, and the cases that changed."""
    if len(runs) < 2:
        message = "Name the base run and at least one other: `triage eval compare BASE OTHER`."
        raise InvalidInput(message, field="runs")
    reports = [_open_report(root, other, [runs[0]])[1] for other in runs[1:]]
    if as_json:
        print_json([report.comparison for report in reports])
        return
    from triage.evaluation.reports.terminal import print_comparison

    for report in reports:
        print_comparison(report.comparison, output(), cases)
    if len(reports) > 1:
        output().print(
            f"\n{len(reports)} runs were compared with one base: the more are tried, the likelier one looks better by "
            "chance. Confirm the winner on data that none of them was chosen on."
        )


def gate(
    run: Annotated[str, _RUN] = "latest",
    base: Annotated[list[str] | None, _BASE] = None,
    root: Annotated[Path, _ROOT] = Path("runs"),
    gates: Annotated[list[str] | None, typer.Option("--gate", help="Check this gate instead of the suite's.")] = None,
    accept_inconclusive: Annotated[
        bool, typer.Option(help="Exit with 0 where no gate failed but some can't be told from so few cases.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the result as JUnit XML.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Write the report as Markdown.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Check the gates of a run. Exit code 0: met; 1: one failed; 2: misuse; 3: too few cases to tell."""
    found, report = _open_report(root, run, base or [], gates)
    for format_, path in (("junit", junit), ("markdown", markdown)):
        if path is not None:
            _write_report(found, report, format_, path)
    if as_json:
        print_json(report.gates)
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


def export(
    run: Annotated[str, _RUN],
    to: Annotated[Path, typer.Argument(help="The file to write, whose ending tells the format; for plots a folder.")],
    base: Annotated[list[str] | None, _BASE] = None,
    root: Annotated[Path, _ROOT] = Path("runs"),
    format_: Annotated[str | None, typer.Option("--format", help=f"One of {', '.join(_FORMATS)}.")] = None,
    text: Annotated[bool, typer.Option(help="Show write-ups, redacted, in the HTML report.")] = True,
) -> None:
    """Write the report of a run as JSON, Markdown, JUnit XML or HTML, its cases as CSV, or its plots as SVG and PNG."""
    endings = {".json": "json", ".md": "markdown", ".xml": "junit", ".html": "html", ".csv": "csv"}
    chosen = format_ or endings.get(to.suffix, "")
    if chosen not in _FORMATS:
        raise InvalidInput(f"{to} tells no format: give --format {'|'.join(_FORMATS)}.", field="format")
    found, report = _open_report(root, run, base or [])
    _write_report(found, report, chosen, to, with_text=text)
    messages().print(f"Written to {escape(str(to))}.")


def tag(
    run: Annotated[str, _RUN],
    name: Annotated[str, typer.Argument(help="The tag, as `main`: gates say `vs main`.")],
    root: Annotated[Path, _ROOT] = Path("runs"),
) -> None:
    """Give a run a name that gates and commands can use; the suite's run that had it before loses it."""
    from triage.evaluation.archive import Archive

    archive = Archive(root)
    found = archive.find(run)
    before = archive.tag(found, name)
    moved = f" (it was {before})" if before and before != found.folder.name else ""
    messages().print(f"{escape(name)} is now {escape(found.folder.name)}{escape(moved)}.")


def _open_report(root: Path, name: str, bases: list[str], gates: list[str] | None = None) -> tuple[Run, Report]:
    """Find a run and make its report, compared with `bases`; with `gates` instead of the suite's own."""
    from triage.evaluation.archive import Archive
    from triage.evaluation.reports import report_on
    from triage.evaluation.suites import Suite

    archive = Archive(root)
    run = archive.find(name)
    if gates:
        run = run.model_copy(update={"suite": Suite.checked(run.suite, gates=gates)})
    return run, report_on(run, archive, bases)


def _write_report(run: Run, report: Report, format_: str, path: Path, *, with_text: bool = True) -> None:
    """Write a report as a file of the format, or its plots into a folder."""
    from triage.domain.taxonomy import Taxonomy
    from triage.evaluation.reports.formats import as_junit, as_markdown
    from triage.evaluation.reports.html import write_html
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
