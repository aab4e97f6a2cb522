"""`triage import` and `triage search`: the history from the terminal."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.cli.terminal import JSON_OPTION, messages, output, print_json, run, watching
from triage.settings import Settings

if TYPE_CHECKING:
    from triage.triage_result import Neighbour


def import_file(
    file: Annotated[Path, typer.Argument(help="JSONL with a `labels` object, or CSV with a column per facet.")],
    annotator: Annotated[str, typer.Option(help="Who gave the labels.")] = "import",
    human: Annotated[bool, typer.Option("--human", help="The labels were given by people, not derived.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring labelled incidents into the history. Importing a file again changes nothing.

    A service that is running has them after its next start.
    """
    imported, size = run(_import(file, annotator, human))
    if as_json:
        print_json({"imported": imported, "history_size": size})
    else:
        output().print(f"{imported} incidents imported; the history holds {size}.")


async def _import(file: Path, annotator: str, human: bool) -> tuple[int, int]:
    from triage.intake.labelled import read_labelled
    from triage.taxonomy import Taxonomy
    from triage.wiring import open_records

    settings = Settings()
    reading = read_labelled(file, Taxonomy.load(settings.taxonomy))
    if reading.ignored:
        messages().print(f"{escape(str(file))}: not used: {escape(', '.join(reading.ignored))}.")
    with watching() as progress:
        async with open_records(settings, progress) as records:
            total = len(reading.records)
            await records.casebook.import_history(
                reading.records,
                annotator=annotator,
                origin="human" if human else "derived",
                progress=lambda done: progress("Importing incidents", done, total),
            )
            return total, await records.casebook.index_size()


def search(
    text: Annotated[str, typer.Argument(help="What to look for, in any words.")],
    k: Annotated[int, typer.Option("-k", min=1, max=50, help="How many incidents.")] = 5,
    as_of: Annotated[datetime | None, typer.Option(help="Only incidents that began before; in UTC.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Search the history by meaning."""
    from triage.cli.rendering import print_neighbours
    from triage.taxonomy import Taxonomy

    found = run(_search(text, k, as_of and as_of.replace(tzinfo=UTC)))
    if as_json:
        print_json([neighbour.model_dump(mode="json") for neighbour in found])
    else:
        print_neighbours(found, Taxonomy.load(Settings().taxonomy), output())


async def _search(text: str, k: int, as_of: datetime | None) -> list[Neighbour]:
    from triage.errors import InvalidInput
    from triage.wiring import open_records

    if not any(c.isalnum() for c in text):
        raise InvalidInput("There is no word to look for.", field="text")
    with watching() as progress:
        async with open_records(Settings(), progress) as records:
            return await records.casebook.search(text, k, as_of)
