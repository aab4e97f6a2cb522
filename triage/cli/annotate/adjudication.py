"""`triage annotate adjudicate` and `history`: make gold what annotators agree on; how gold labels came about."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, opened_store, output, print_json, watching
from triage.domain.errors import InvalidInput

_SHOWN = 10


async def adjudicate(
    annotator: Annotated[str, typer.Option(help="Your name: who settles it.")],
    accept_agreed: Annotated[
        bool, typer.Option("--accept-agreed", help="Make gold all that at least two people agree on.")
    ] = False,
) -> None:
    """Make gold what annotators agree on. Disagreements are settled on the page /label/adjudicate of the service.

    A decision keeps who made it and from what. A running service has these labels in its history after its next start.
    """
    from triage.app.wiring.storage import open_records
    from triage.labels.annotation_job.adjudication import Adjudication

    if not accept_agreed:
        raise InvalidInput(
            "Settle disagreements on the page /label/adjudicate of the service (triage serve). To make gold what all "
            "agree on, add --accept-agreed.",
            field="accept_agreed",
        )
    with watching() as progress:
        async with open_records(Settings(), progress) as records:
            accepted = await Adjudication(records.casebook, records.store).accept_agreed(annotator, progress)
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


async def history(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show how an incident's gold labels came about: who settled what, when, and from which annotations."""
    from triage.labels.annotation_job.disagreement import verdicts

    async with opened_store() as store:
        await store.incidents.get(incident)
        found = verdicts(await store.annotations.list(incident))
    if as_json:
        print_json(found)
        return
    console = output()
    if not found:
        console.print("Nothing of it was adjudicated. Next: settle it on the page /label/adjudicate of the service.")
    for verdict in found:
        gold = verdict.adjudication
        how = "confirmed what all said" if verdict.was_agreed else "settled"
        what = f"[bold]{escape(gold.facet)}: {escape(', '.join(gold.answer))}[/bold]"
        console.print(f"{gold.created_at:%Y-%m-%d %H:%M} UTC  {what}  {escape(gold.annotator)} {how}")
        if gold.note:
            console.print(f"    {escape(gold.note)}", soft_wrap=True)
        for each in verdict.settled:
            note = f": {each.note}" if each.note else ""
            console.print(f"    {escape(each.annotator)} said {escape(', '.join(each.answer) + note)}", style="dim")
