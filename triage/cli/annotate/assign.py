"""`triage annotate assign`: who labels which incident."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, print_json
from triage.domain.enums import Status
from triage.domain.errors import InvalidInput

if TYPE_CHECKING:
    from triage.domain.taxonomy import Taxonomy
    from triage.store import Store


async def assign(
    annotators: Annotated[str, typer.Option(help="Names, separated by commas.")],
    per_incident: Annotated[int, typer.Option(min=1, max=20, help="How many of them label each incident.")] = 2,
    facets: Annotated[str, typer.Option(help="Facets to label, separated by commas; all without it.")] = "",
    limit: Annotated[int | None, typer.Option(min=1, help="So many incidents that lack annotators, at random.")] = None,
    seed: Annotated[int, typer.Option(help="Of chance: the same seed gives the same assignment.")] = 0,
    file: Annotated[
        Path | None,
        typer.Option("--from", help="Write-ups to be labelled (Markdown, JSON, JSONL), or incident ids (.txt)."),
    ] = None,
    status: Annotated[Status | None, typer.Option(help="Only stored incidents in this state.")] = None,
    show_model: Annotated[
        bool, typer.Option("--show-model", help="Let annotators see the model's labels before giving their own.")
    ] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Give each incident to several annotators, the same number of incidents to each. Earlier assignments stay."""
    from triage.app.wiring.storage import open_store
    from triage.labels.annotation_job.assignment import assign as assign_incidents

    if file is not None and status is not None:
        raise typer.BadParameter("name a file or a status, not both.", param_hint="--from")
    settings = Settings()
    async with open_store(settings) as (store, taxonomy):
        ids = None
        if file is not None:
            is_list = file.suffix == ".txt"
            ids = _read_ids(file) if is_list else await _import(file, settings, store, taxonomy)
        assigned = await assign_incidents(
            store,
            taxonomy,
            _list(annotators),
            per_incident=per_incident,
            facets=_list(facets),
            incident_ids=ids,
            status=status,
            limit=limit,
            seed=seed,
            shows_model=show_model,
        )
    if as_json:
        print_json(assigned._asdict())
        return
    console = output()
    if not assigned.incidents:
        console.print(f"Every incident has {per_incident} annotators already; nothing was added.")
    else:
        console.print(f"{assigned.incidents} incidents assigned:")
        for name, count in assigned.added.items():
            console.print(f"  {escape(name)}: {count} more")
    console.print("Next: each of them labels on the page /label of the service: triage serve", style="dim")


def _read_ids(file: Path) -> list[str]:
    if not file.is_file():
        raise InvalidInput(f"There is no file {file}.", field="from")
    return file.read_text(encoding="utf-8").split()


async def _import(file: Path, settings: Settings, store: Store, taxonomy: Taxonomy) -> list[str]:
    """Store the write-ups of a file. Returns their ids."""
    from triage.intake.write_ups import read_file
    from triage.labels.annotation_job.annotation_files import import_incidents

    incidents = read_file(file, settings.max_write_up_bytes).incidents
    new = await import_incidents(incidents, store, taxonomy)
    messages().print(f"{escape(str(file))}: {len(incidents)} incidents, {new} of them new.")
    return [incident.id for incident in incidents]


def _list(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
