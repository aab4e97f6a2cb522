"""`triage annotate status`: how far everyone is, where they disagree, and what comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from rich.console import Console
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, output, plain_table, print_json
from triage.render.quantities import percent

if TYPE_CHECKING:
    from triage.labels.annotation_job.status import JobStatus


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
    for step in _next(found):
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


def _next(found: JobStatus) -> list[str]:
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
