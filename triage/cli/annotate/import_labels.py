"""`triage annotate import`: annotations made elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, print_json, run, split_pair, watching

if TYPE_CHECKING:
    from triage.labels.annotation_job.annotation_files import AnnotationImport


def import_file(
    file: Annotated[
        Path, typer.Argument(help="CSV or JSON Lines of triage, or a JSON export of Label Studio or Argilla.")
    ],
    annotator: Annotated[str, typer.Option(help="Who gave the labels that name nobody.")] = "",
    facet: Annotated[str, typer.Option(help="The facet that a question without a name is about.")] = "",
    rename: Annotated[
        list[str] | None, typer.Option(help="OLD=NEW: another word for an annotator or a question of the file.")
    ] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring in annotations made elsewhere, all or nothing. Importing a file again changes nothing."""
    taken = run(_import(file, annotator, facet, rename or []))
    if as_json:
        print_json(taken._asdict())
        return
    along = f"; {taken.new_incidents} incidents came along" if taken.new_incidents else ""
    output().print(f"{taken.annotations} annotations read, {taken.new} of them new{along}.")
    output().print("See where they agree: triage annotate status", style="dim")


async def _import(file: Path, annotator: str, facet: str, rename: Sequence[str]) -> AnnotationImport:
    from triage.app.wiring.storage import open_records
    from triage.domain.taxonomy import Taxonomy
    from triage.intake.annotations import read_annotations
    from triage.labels.annotation_job.annotation_files import import_annotations

    settings = Settings()
    renamed = dict(split_pair(each, "OLD=NEW", "7=ada", "rename") for each in rename)
    taxonomy = Taxonomy.load(settings.taxonomy)
    reading = read_annotations(file, taxonomy, annotator=annotator, facet=facet, renamed=renamed)
    unused = [f"{count} {what}" for what, count in reading.left_out.items()]
    if reading.ignored:
        unused.append(f"the fields {', '.join(reading.ignored)}")
    if unused:
        messages().print(f"{escape(str(file))}: not used: {escape('; '.join(unused))}.")
    with watching() as progress:
        async with open_records(settings, progress) as records:
            return await import_annotations(file, reading, records.casebook, records.store)
