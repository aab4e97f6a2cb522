"""`triage eval export`: the report of a run as a file, or its plots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.cli.eval.reports import BASE, FORMATS, ROOT, RUN, open_report, write_report
from triage.cli.terminal import fail, messages
from triage.domain.errors import InvalidInput, TriageError


def export(
    run: Annotated[str, RUN],
    to: Annotated[Path, typer.Argument(help="The file to write, whose ending tells the format; for plots a folder.")],
    base: Annotated[list[str] | None, BASE] = None,
    root: Annotated[Path, ROOT] = Path("runs"),
    format_: Annotated[str | None, typer.Option("--format", help=f"One of {', '.join(FORMATS)}.")] = None,
    text: Annotated[bool, typer.Option(help="Show write-ups, redacted, in the HTML report.")] = True,
) -> None:
    """Write the report of a run as JSON, Markdown, JUnit XML or HTML, its cases as CSV, or its plots as SVG and PNG."""
    endings = {".json": "json", ".md": "markdown", ".xml": "junit", ".html": "html", ".csv": "csv"}
    chosen = format_ or endings.get(to.suffix, "")
    try:
        if chosen not in FORMATS:
            raise InvalidInput(f"{to} tells no format: give --format {'|'.join(FORMATS)}.", field="format")
        found, report = open_report(root, run, base or [])
        write_report(found, report, chosen, to, with_text=text)
    except TriageError as error:
        fail(error)
    messages().print(f"Written to {escape(str(to))}.")
