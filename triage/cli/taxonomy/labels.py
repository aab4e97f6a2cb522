"""The labels that a new version of a taxonomy affects: where they are read, and what becomes of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import typer
from rich.console import Console
from rich.table import Column

from triage.app.settings import Settings
from triage.cli.terminal import plain_table, run
from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput, TriageError

if TYPE_CHECKING:
    from triage.domain.taxonomy import Taxonomy
    from triage.labels.evolution import AgreementChange, Migration, Relabelling

ANNOTATIONS = typer.Option(help="Annotations given with the old version, as JSONL.")
STORE = typer.Option("--store", help="Take the annotations and write-ups of the database that the settings name.")
INCIDENTS = typer.Option(help="The annotated incidents (JSONL), to rank by how close a write-up is to two labels.")

_SHOWN_INCIDENTS = 10


class Material(NamedTuple):
    """Annotations, and the write-ups of their incidents by id as far as they are known."""

    annotations: list[Annotation]
    write_ups: dict[str, str]


def read_material(old: Taxonomy, annotations: Path | None, incidents: Path | None, from_store: bool) -> Material:
    """Read annotations and write-ups from files or the store. Raises `InvalidInput` for labels of another taxonomy."""
    from triage.intake.annotations import read_annotations
    from triage.intake.write_ups import read_file

    if annotations is not None and from_store:
        raise InvalidInput("Give either --annotations or --store.", field="annotations")
    settings = Settings()
    write_ups: dict[str, str] = {}
    given: list[Annotation] = []
    if from_store:
        given, write_ups = run(_of_store(settings, old))
    elif annotations is not None:
        given = read_annotations(annotations, old, origin="human").annotations
    if incidents is not None:
        reading = read_file(incidents, settings.max_write_up_bytes)
        write_ups |= {incident.id: incident.text for incident in reading.incidents}
    return Material(given, write_ups)


async def _of_store(settings: Settings, old: Taxonomy) -> tuple[list[Annotation], dict[str, str]]:
    from triage.app.wiring.storage import prepare_store

    store = await prepare_store(settings)
    try:
        ids = await store.incidents.list_ids()
        given = [one for annotations in (await store.annotations.list_many(ids)).values() for one in annotations]
        write_ups = {key: stored.incident.text for key, stored in (await store.incidents.find_many(ids)).items()}
    finally:
        await store.close()
    for annotation in given:
        try:
            old.canonical_answer(annotation.facet, annotation.labels)
        except TriageError as error:
            raise InvalidInput(
                f"Incident {annotation.incident_id} was not labelled with {old.id} {old.version}: {error.detail}",
                field="store",
            ) from error
    return given, write_ups


def print_consequences(
    migration: Migration,
    agreement: Sequence[AgreementChange],
    ranked: Sequence[Relabelling],
    console: Console,
    *,
    is_done: bool = False,
) -> None:
    """Print what stands, how agreement changes, and what to label anew first."""
    counts = [
        (migration.kept, "as they are"),
        (migration.mapped, "under a new id"),
        (migration.derived, "as derived labels"),
    ]
    stands = ", ".join(f"{n} {how}" for n, how in counts if n) or "none"
    total = len(migration.annotations) + len(migration.withdrawn) + migration.dropped
    console.print(
        f"\n[bold cyan]The {total} annotations{'' if is_done else ', if the plan is confirmed as proposed'}[/]"
    )
    console.print(f"{len(migration.annotations)} stand ({stands})")
    console.print(f"{len(migration.withdrawn)} are taken out: {len(ranked)} answers are to be given anew")
    if migration.dropped:
        console.print(f"{migration.dropped} go with their facet")
    if migration.superseded:
        console.print(f"{migration.superseded} more were replaced by a later word of the same annotator")
    _print_agreement(agreement, console)
    _print_ranked(ranked, console)


def _print_agreement(agreement: Sequence[AgreementChange], console: Console) -> None:
    if not agreement:
        return
    headings = ("facet", "annotators", "all", "before", "stand", "before", "after", "left")
    table = plain_table(*headings, right=("all", "stand", "left"))
    for one in agreement:
        numbers = [one.before.n, one.before, one.after.n, one.before_on_remaining, one.after, one.to_relabel]
        name = one.facet if one.measure == "kappa" else f"{one.facet}*"
        table.add_row(name, ", ".join(one.annotators), *map(str, numbers))
    console.print("\n[bold cyan]Agreement, before on all incidents, and before and after on those that stand[/]")
    console.print(table)
    measures = "Kappa with its 95% interval"
    has_sets = any(one.measure != "kappa" for one in agreement)
    console.print(f"{measures}; * mean Jaccard index of the label sets" if has_sets else measures, style="dim")


def _print_ranked(ranked: Sequence[Relabelling], console: Console) -> None:
    if not ranked:
        return
    names = (Column(heading, no_wrap=True) for heading in ("incident", "facet", "label"))
    table = plain_table(Column(justify="right"), *names, Column("why first", ratio=1))
    for number, one in enumerate(ranked[:_SHOWN_INCIDENTS], start=1):
        table.add_row(str(number), one.incident_id, one.facet, ", ".join(one.labels), "; ".join(_why(one)))
    console.print("\n[bold cyan]To label anew first[/]")
    console.print(table)
    if len(ranked) > _SHOWN_INCIDENTS:
        console.print(f"and {len(ranked) - _SHOWN_INCIDENTS} more")


_REASONS = {
    "split": "was split",
    "removed": "was removed",
    "cardinality": "one label is wanted now",
    "redefined": "reads otherwise",
    "moved": "the finer label moved",
}


def _why(one: Relabelling) -> Iterator[str]:
    yield from (_REASONS[kind] for kind in one.change if kind in _REASONS)
    if one.disagreement == 1:
        yield "annotators differ"
    elif len(one.annotators) == 1 and one.disagreement:
        yield f"annotators differ in {one.disagreement:.0%} on this label"
    if one.is_gold:
        yield f"gold, like {one.like_it - 1} more" if one.like_it > 1 else "gold"
    if one.margin is not None:
        yield f"{' or '.join(one.nearest)} (margin {one.margin:.2f})"
