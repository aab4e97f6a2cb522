"""`triage annotate export`: all annotations, as a file."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import messages, output, run

Format = Literal["csv", "jsonl", "label-studio"]


def export_file(
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = "jsonl",
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output without it.")] = None,
    earlier: Annotated[
        bool, typer.Option("--earlier", help="Also what annotators said before they changed their mind.")
    ] = False,
) -> None:
    """Write the annotations of all incidents: what each annotator said last, and what was settled."""
    count = run(_export(form, out, earlier))
    if out is not None:
        output().print(f"{count} annotations written to {escape(str(out))}.")


async def _export(form: Format, out: Path | None, earlier: bool) -> int:
    from triage.app.wiring.storage import open_store
    from triage.domain.annotation import standing
    from triage.labels.annotation_job.annotation_files import csv_rows, json_lines, label_studio_tasks

    async with open_store(Settings()) as (store, taxonomy):
        by_incident = await store.annotations.list_many(await store.incidents.list_ids())
        found = [each for given in by_incident.values() for each in (given if earlier else standing(given))]
        if not found:
            messages().print("There are no annotations yet. Start with: triage annotate assign --help")
        with contextlib.ExitStack() as stack:
            target = sys.stdout if out is None else stack.enter_context(out.open("w", encoding="utf-8", newline=""))
            if form == "label-studio":
                stored = await store.incidents.find_many({each.incident_id for each in found})
                incidents = {key: entry.incident for key, entry in stored.items()}
                tasks = label_studio_tasks(found, incidents, taxonomy)
                target.write(json.dumps(tasks, ensure_ascii=False, indent=1) + "\n")
            else:
                target.writelines(csv_rows(found) if form == "csv" else json_lines(found))
    return len(found)
