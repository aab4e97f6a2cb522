"""`triage annotate import` and `export`: annotations made elsewhere, and all annotations as a file."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, print_json, split_pair, watching
from triage.domain.annotation import Origin

Format = Literal["csv", "jsonl", "label-studio"]


async def import_file(
    file: Annotated[
        Path, typer.Argument(help="CSV or JSON Lines of triage, or a JSON export of Label Studio or Argilla.")
    ],
    annotator: Annotated[str, typer.Option(help="Who gave the labels that name nobody.")] = "",
    facet: Annotated[str, typer.Option(help="The facet that a question without a name is about.")] = "",
    origin: Annotated[
        Origin | None, typer.Option(help="Who made the labels whose origin the file does not state: people are human.")
    ] = None,
    rename: Annotated[
        list[str] | None, typer.Option(help="OLD=NEW: another word for an annotator or a question of the file.")
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring in annotations made elsewhere, all or nothing. Importing a file again changes nothing."""
    from triage.app.wiring.storage import open_records
    from triage.domain.taxonomy import Taxonomy
    from triage.intake.annotations import read_annotations
    from triage.labels.annotation_job.annotation_files import import_annotations

    settings = Settings()
    renamed = dict(split_pair(each, "OLD=NEW", "7=ada", "rename") for each in rename or [])
    taxonomy = Taxonomy.load(settings.taxonomy)
    reading = read_annotations(file, taxonomy, annotator=annotator, facet=facet, origin=origin, renamed=renamed)
    unused = [f"{count} {what}" for what, count in reading.left_out.items()]
    if reading.ignored:
        unused.append(f"the fields {', '.join(reading.ignored)}")
    if unused:
        messages().print(f"{escape(str(file))}: not used: {escape('; '.join(unused))}.")
    with watching() as progress:
        async with open_records(settings, progress) as records:
            taken = await import_annotations(file, reading, records.casebook, records.store)
    if as_json:
        print_json(taken._asdict())
        return
    along = f"; {taken.new_incidents} incidents came along" if taken.new_incidents else ""
    output().print(f"{taken.annotations} annotations read, {taken.new} of them new{along}.")
    output().print("See where they agree: triage annotate status", style="dim")


async def export_file(
    form: Annotated[Format, typer.Option("--format", help="What to write.")] = "jsonl",
    out: Annotated[Path | None, typer.Option(help="The file to write; standard output without it.")] = None,
    earlier: Annotated[
        bool, typer.Option("--earlier", help="Also what annotators said before they changed their mind.")
    ] = False,
) -> None:
    """Write the annotations of all incidents: what each annotator said last, and what was settled."""
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
    if out is not None:
        output().print(f"{len(found)} annotations written to {escape(str(out))}.")
