"""`triage annotate adjudicate`: make gold what annotators agree on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import fail, output, run, watching
from triage.domain.errors import InvalidInput

if TYPE_CHECKING:
    from triage.labels.annotation_job.adjudication import Accepted

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
        fail(
            InvalidInput(
                "Settle disagreements on the page /label/adjudicate of the service (triage serve). To make gold what "
                "all agree on, add --accept-agreed.",
                field="accept_agreed",
            )
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


async def _accept(annotator: str) -> Accepted:
    from triage.app.wiring.storage import open_records
    from triage.labels.annotation_job.adjudication import Adjudication

    with watching() as progress:
        async with open_records(Settings(), progress) as records:
            return await Adjudication(records.casebook, records.store).accept_agreed(annotator, progress)
