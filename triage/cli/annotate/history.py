"""`triage annotate history`: how an incident's gold labels came about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from triage.cli.terminal import JSON_OPTION, output, print_json, run_with_store

if TYPE_CHECKING:
    from triage.labels.annotation_job.disagreement import Verdict
    from triage.store import Store


def history(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show how an incident's gold labels came about: who settled what, when, and from which annotations."""
    found = run_with_store(lambda store: _verdicts(store, incident))
    if as_json:
        print_json([verdict.model_dump(mode="json") for verdict in found])
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


async def _verdicts(store: Store, incident_id: str) -> list[Verdict]:
    from triage.labels.annotation_job.disagreement import verdicts

    await store.incidents.get(incident_id)
    return verdicts(await store.annotations.list(incident_id))
