"""`triage annotate preview`: what a gold label would change in other incidents, before anybody gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.text import Text

from triage.app.settings import Settings
from triage.cli.terminal import JSON_OPTION, print_result, split_pair, watching
from triage.render.quantities import percent

if TYPE_CHECKING:
    from triage.domain.correction_preview import ChangedIncident, FacetChange, Preview
    from triage.domain.taxonomy import Taxonomy

_SHOWN_IDS = 5
_PATIENCE_S = 20.0
_WORDS = {"towards": "towards what a person said", "away": "away from what a person said"}


async def preview(
    incident: Annotated[str, typer.Argument(help="The incident's id.")],
    labels: Annotated[list[str], typer.Argument(help="FACET=LABEL, or FACET=LABEL,LABEL; as gold.")],
    days: Annotated[float, typer.Option(min=0, help="Only incidents that were triaged within so many days.")] = 30,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, those that were triaged last.")] = 200,
    seconds: Annotated[
        float, typer.Option(min=0, help="Begin nothing that can be left out after so long.")
    ] = _PATIENCE_S,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Show which other recent incidents would be triaged otherwise if these labels were gold. Nothing is stored.

    No model is asked: what it said is taken from the stored triages, and decided anew with the history as it would be.
    """
    from triage.app.wiring.components import open_components
    from triage.domain.annotation import Annotation
    from triage.labels.preview import DEFAULT_OPTIONS

    given = []
    for pair in labels:
        facet, names = split_pair(pair, "FACET=LABEL", "category=operational", "labels")
        ids = tuple(name.strip() for name in names.split(",") if name.strip())
        # The annotator doesn't matter: nothing is stored, and the newest gold label counts whoever gave it.
        given.append(Annotation(incident_id=incident, facet=facet, labels=ids, annotator="preview", is_gold=True))
    options = DEFAULT_OPTIONS._replace(days=days, most=limit, seconds=seconds)
    with watching() as progress:
        async with open_components(Settings(), progress) as components:
            with progress.step("Deciding recent incidents again"):
                found = await components.previewer.preview(incident, given, options=options)
    print_result(found, as_json, lambda found, console: _print(found, components.taxonomy, console))


def _print(found: Preview, taxonomy: Taxonomy, console: Console) -> None:
    others = [one for one in found.incidents if one.has_other_labels]
    moved = len(found.incidents) - len(others)
    console.print(
        f"\n[bold]{len(others)}[/bold] of {found.looked_at} recent incidents would get other labels; of {moved} more "
        f"a probability would move. The history would hold {found.history} incidents."
    )
    for one in others:
        console.print(_incident(one, taxonomy))
    towards, away = found.count("towards"), found.count("away")
    if towards or away:
        console.print(f"\nTowards what people said: {towards}. Away from it: {away}.")
    for reason in found.not_compared:
        console.print(f"\nNot compared: {len(reason.incidents)}. {escape(reason.reason)}", soft_wrap=True)
    if found.not_reached:
        ids = ", ".join(found.not_reached[:_SHOWN_IDS]) + (", ..." if len(found.not_reached) > _SHOWN_IDS else "")
        console.print(f"\nNo time was left for {len(found.not_reached)}: {escape(ids)}. Give more with --seconds.")
    for note in found.notes:
        console.print(f"\n[dim]{escape(note)}[/dim]")


def _incident(one: ChangedIncident, taxonomy: Taxonomy) -> Text:
    text = Text.assemble("\n", (one.title or one.incident_id, "bold"), (f"  {one.incident_id}", "dim"))
    text.append(f"  similarity {one.similarity:.2f}", style="dim")
    for change in one.changes:
        if change.kind != "probability":
            text.append_text(_change(change, taxonomy))
    return text


def _change(change: FacetChange, taxonomy: Taxonomy) -> Text:
    facet = taxonomy.facet(change.facet)

    def side(labels: tuple[str, ...], likeliest: str | None, probability: float | None) -> str:
        names = ", ".join(facet.label(label).name for label in labels)
        if not names:
            names = "abstains" if likeliest is None else f"abstains (likeliest: {facet.label(likeliest).name})"
        return names if probability is None else f"{names} {percent(probability)}"

    before = side(change.before, change.likeliest_before, change.probability_before)
    after = side(change.after, change.likeliest_after, change.probability_after)
    text = Text.assemble("\n  ", (f"{facet.name}: ", "dim"), before, " -> ", (after, "bold"))
    if change.direction in _WORDS:
        text.append(f"  {_WORDS[change.direction]}", style="green" if change.direction == "towards" else "yellow")
    return text
