"""`triage eval list`: the finished runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.cli.eval.reports import ROOT
from triage.cli.terminal import JSON_OPTION, messages, output, plain_table, print_json


def list_runs(
    root: Annotated[Path, ROOT] = Path("runs"),
    suite: Annotated[str | None, typer.Option(help="Only the runs of this suite.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """List the runs, newest first, with their agreement."""
    from triage.evaluation.archive import Archive, listed

    rows = [row for row in listed(Archive(root)) if suite is None or row.suite == suite]
    if as_json:
        print_json([row.model_dump(mode="json") for row in rows])
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
