"""`triage annotate adjudicate` and `history`: make gold what annotators agree on; how gold labels came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, output, print_json, run, run_with_store, watching
from triage.domain.errors import InvalidInput

if TYPE_CHECKING:
    from triage.labels.annotation_job.adjudication import Accepted
    from triage.labels.annotation_job.disagreement import Verdict
    from triage.store import Store

_SHOWN = 10


def adjudicate(
    annotator: Annotated[str, typer.Option(help="Your name: who settles it.")],
    accept_agreed: Annotated[
        bool, typer.Option("--accept-agreed", help="Make gold all that at least two people agree on.")
    ] = False,
) -> None:
    """Make gold what annotators agree on. Disagreements are settled on the page /label/adjudicate of the service.

    A decision keeps who made it and from what. A running service has these labels in its history after its next start.
    """
    if not accept_agreed:
        raise InvalidInput(
            "Settle disagreements on the page /label/adjudicate of the service (triage serve). To make gold what all "
            "agree on, add --accept-agreed.",
            field="accept_agreed",
        )
    accepted = run(_accept(annotator))
    console = output()
    if accepted.facets:
        console.print(f"{accepted.facets} labels of {accepted.incidents} incidents are gold: all agreed on them.")
    else:
        console.print("There is nothing new on which two people agree. See: triage annotate status")
    if accepted.left_out:
        console.print(f"{len(accepted.left_out)} left out:")
        for reason in accepted.left_out[:_SHOWN]:
            console.print(f"  {escape(reason)}", soft_wrap=True)
        if len(accepted.left_out) > _SHOWN:
            console.print(f"  and {len(accepted.left_out) - _SHOWN} more")


def history(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show how an incident's gold labels came about: who settled what, when, and from which annotations."""
    found = run_with_store(lambda store: _verdicts(store, incident))
    if as_json:
        print_json(found)
        return
    console = output()
    if not found:
        console.print("Nothing of it was adjudicated. Next: settle it on the page /label/adjudicate of the service.")
    for verdict in found:
        gold = verdict.adjudication
        how = "confirmed what all said" if verdict.was_agreed else "settled"
        what = f"[bold]{escape(gold.facet)}: {escape(', '.join(gold.labels))}[/bold]"
        console.print(f"{gold.created_at:%Y-%m-%d %H:%M} UTC  {what}  {escape(gold.annotator)} {how}")
        if gold.note:
            console.print(f"    {escape(gold.note)}", soft_wrap=True)
        for each in verdict.settled:
            note = f": {each.note}" if each.note else ""
            console.print(f"    {escape(each.annotator)} said {escape(', '.join(each.labels) + note)}", style="dim")


async def _accept(annotator: str) -> Accepted:
    from triage.app.wiring.storage import open_records
    from triage.labels.annotation_job.adjudication import Adjudication

    with watching() as progress:
        async with open_records(Settings(), progress) as records:
            return await Adjudication(records.casebook, records.store).accept_agreed(annotator, progress)


async def _verdicts(store: Store, incident_id: str) -> list[Verdict]:
    from triage.labels.annotation_job.disagreement import verdicts

    await store.incidents.get(incident_id)
    return verdicts(await store.annotations.list(incident_id))
