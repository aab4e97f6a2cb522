"""`triage annotate assign` and `status`: who labels which incident, how far everyone is, and what comes next."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, messages, output, plain_table, print_json
from triage.domain.enums import Status
from triage.domain.errors import InvalidInput
from triage.render.quantities import percent

if TYPE_CHECKING:
    from triage.domain.taxonomy import Taxonomy
    from triage.labels.annotation_job.status import JobStatus
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


async def status(as_json: Annotated[bool, JSON_OPTION] = False) -> None:
    """Show how far each annotator is, what is open, and how well each two agree on each facet."""
    from triage.app.wiring.storage import open_store
    from triage.labels.annotation_job.status import job_status

    async with open_store(Settings()) as (store, taxonomy):
        found = await job_status(store, taxonomy)
    if as_json:
        print_json(found)
        return
    console = output()
    if not found.annotators:
        console.print("Nothing is assigned or labelled yet. Next: triage annotate assign --annotators NAME,NAME")
        return
    _print_annotators(found, console)
    console.print(
        f"\n{found.labelled} incidents labelled, {found.overlap} of them by two or more people. Of their facets: "
        f"{found.open} in open disagreement, {found.unconfirmed} agreed on and not gold yet, {found.settled} settled."
    )
    _print_agreement(found, console)
    for step in _next_steps(found):
        console.print(f"Next: {escape(step)}", style="dim")


def _print_annotators(found: JobStatus, console: Console) -> None:
    figures = ("assigned", "done", "labels", "after seeing the model's")
    table = plain_table("annotator", *figures, right=figures, header_style="dim")
    for each in found.annotators:
        numbers = (each.assigned, each.done, each.labels, each.saw_model)
        table.add_row(escape(each.annotator), *map(str, numbers))
    console.print(table)


def _print_agreement(found: JobStatus, console: Console) -> None:
    if not found.agreement:
        console.print("No incident has labels of two people yet, so there is no agreement to tell of.")
        return
    headings = ("facet", "annotators", "incidents", "agree", "kappa with its 95% interval")
    table = plain_table(*headings, right=("incidents", "agree"), header_style="dim")
    for each in found.agreement:
        share = percent(each.kappa.observed)
        table.add_row(each.facet, escape(" and ".join(each.annotators)), str(each.kappa.n), share, str(each.kappa))
    console.print()
    console.print(table)


def _next_steps(found: JobStatus) -> list[str]:
    steps = [
        f"{each.annotator} labels on the page /label of the service   ({each.assigned - each.done} incidents to do)"
        for each in found.annotators
        if each.done < each.assigned
    ]
    if found.open:
        steps.append(f"settle on the page /label/adjudicate of the service   ({found.open} open)")
    if found.unconfirmed:
        steps.append(f"triage annotate adjudicate --annotator NAME --accept-agreed   ({found.unconfirmed} agreed on)")
    return steps
