"""`triage taxonomy diff` and `triage taxonomy migrate`: from one version of a taxonomy to the next."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer
from rich.markup import escape

from triage.app.settings import Settings
from triage.cli.terminal import FAILURE, JSON_OPTION, fail, messages, output, print_json, run
from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput, TriageError

if TYPE_CHECKING:
    from triage.domain.taxonomy import Taxonomy

_ANNOTATIONS = typer.Option(help="Annotations given with the old version, as JSONL.")
_STORE = typer.Option("--store", help="Take the annotations and write-ups of the database that the settings name.")
_INCIDENTS = typer.Option(help="The annotated incidents (JSONL), to rank by how close a write-up is to two labels.")

_PAGE = 500


class Material(NamedTuple):
    """Annotations, and the write-ups of their incidents by id as far as they are known."""

    annotations: list[Annotation]
    write_ups: dict[str, str]


def diff(
    old: Annotated[str, typer.Argument(help="The old version: a shipped taxonomy or a YAML file.")],
    new: Annotated[str, typer.Argument(help="The new version.")],
    annotations: Annotated[Path | None, _ANNOTATIONS] = None,
    store: Annotated[bool, _STORE] = False,
    incidents: Annotated[Path | None, _INCIDENTS] = None,
    write_plan: Annotated[Path | None, typer.Option(help="Write a migration plan, to be confirmed.")] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 if anything changed.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Tell what changed between two versions of a taxonomy, and what that means for labels already given.

    The exit code is 0; with --exit-code 1 if anything changed; 2 if a file is wrong.
    """
    from triage.cli.changes import print_comparison, print_consequences
    from triage.domain.taxonomy import Taxonomy
    from triage.labels.evolution import agreement_changes, compare, preview, propose, rank
    from triage.labels.evolution.plan_file import write_plan as write

    try:
        before, after = Taxonomy.load(old), Taxonomy.load(new)
        material = _read(before, annotations, incidents, store)
        comparison = compare(before, after)
        plan = propose(comparison, before, after, old, new)
        migration = preview(plan, before, after, material.annotations)
        if write_plan is not None:
            write(plan, write_plan)
    except TriageError as error:
        fail(error)
    agreement = agreement_changes(plan, before, after, material.annotations, migration)
    ranked = rank(migration.withdrawn, material.annotations, after, material.write_ups)
    if as_json:
        counts = migration.model_dump(mode="json", include={"kept", "mapped", "derived", "dropped", "superseded"})
        print_json(
            {
                **comparison.model_dump(mode="json", exclude={"successions"}),
                "plan": plan.model_dump(mode="json"),
                "annotations": counts | {"to_relabel": len(migration.withdrawn)},
                "agreement": _dump(agreement),
                "relabel": _dump(ranked),
            }
        )
    else:
        print_comparison(comparison, plan, output())
        if material.annotations:
            print_consequences(migration, agreement, ranked, output())
    if write_plan is not None:
        waiting = f"{len(plan.unconfirmed)} step(s) wait for you in it" if plan.unconfirmed else "every step is certain"
        messages().print(f"\nThe plan stands in {escape(str(write_plan))}: {waiting}.", soft_wrap=True)
    if exit_code and comparison.changes:
        raise typer.Exit(FAILURE)


def migrate_annotations(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan of `triage taxonomy diff --write-plan`.")],
    out: Annotated[Path, typer.Option(help="The annotations that are valid in the new version, as JSONL.")],
    annotations: Annotated[Path | None, _ANNOTATIONS] = None,
    store: Annotated[bool, _STORE] = False,
    incidents: Annotated[Path | None, _INCIDENTS] = None,
    relabel: Annotated[Path | None, typer.Option(help="Write what is to be labelled anew, in order, as JSONL.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring annotations to the new version of their taxonomy, by a plan that a person confirmed.

    The exit code is 0 when they are written; 2 if the plan is not confirmed, does not fit, or a file is wrong.
    """
    from triage.cli.changes import print_consequences
    from triage.labels.evolution import agreement_changes, migrate, rank
    from triage.labels.evolution.annotation_file import write_annotations
    from triage.labels.evolution.plan_file import read_plan

    try:
        plan, before, after = read_plan(plan_file)
        if annotations is None and not store:
            raise InvalidInput("Say what to migrate: --annotations FILE or --store.", field="annotations")
        _check_distinct(annotations, out, relabel)
        material = _read(before, annotations, incidents, store)
        migration = migrate(plan, before, after, material.annotations)
        ranked = rank(migration.withdrawn, material.annotations, after, material.write_ups)
        write_annotations(migration.annotations, out)
        if relabel is not None:
            relabel.write_text("".join(f"{one.model_dump_json()}\n" for one in ranked), encoding="utf-8")
    except TriageError as error:
        fail(error)
    agreement = agreement_changes(plan, before, after, material.annotations, migration)
    if as_json:
        counts = migration.model_dump(mode="json", exclude={"annotations", "withdrawn"})
        print_json(
            {
                "written": len(migration.annotations),
                **counts,
                "to_relabel": len(migration.withdrawn),
                "agreement": _dump(agreement),
            }
        )
    else:
        print_consequences(migration, agreement, ranked, output(), is_done=True)
    messages().print(f"\n{len(migration.annotations)} annotations stand in {escape(str(out))}.", soft_wrap=True)


def _check_distinct(annotations: Path | None, out: Path, relabel: Path | None) -> None:
    """Nothing is written over what is read: the labels that are taken out would be lost."""
    named = [path.resolve() for path in (annotations, out, relabel) if path is not None]
    if len(set(named)) < len(named):
        raise InvalidInput("--annotations, --out and --relabel must be different files.", field="out")


def _read(old: Taxonomy, annotations: Path | None, incidents: Path | None, from_store: bool) -> Material:
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
        given = read_annotations(annotations, old).annotations
    if incidents is not None:
        reading = read_file(incidents, settings.max_write_up_bytes)
        write_ups |= {incident.id: incident.text for incident in reading.incidents}
    return Material(given, write_ups)


async def _of_store(settings: Settings, old: Taxonomy) -> tuple[list[Annotation], dict[str, str]]:
    from triage.app.wiring import prepare_store

    store = await prepare_store(settings)
    given: list[Annotation] = []
    write_ups: dict[str, str] = {}
    try:
        cursor, is_more = None, True
        while is_more:
            page = await store.incidents.list(_PAGE, cursor)
            ids = [listed.id for listed in page.incidents]
            for incident_id, stored in (await store.incidents.find_many(ids)).items():
                given += await store.annotations.list(incident_id)
                write_ups[incident_id] = stored.incident.text
            cursor, is_more = page.next_cursor, page.next_cursor is not None
    finally:
        await store.close()
    for annotation in given:
        try:
            old.canonical(annotation.facet, annotation.labels)
        except TriageError as error:
            raise InvalidInput(
                f"Incident {annotation.incident_id} was not labelled with {old.id} {old.version}: {error.detail}",
                field="store",
            ) from error
    return given, write_ups


def _dump(results: Sequence[Any]) -> list[Any]:
    return [result.model_dump(mode="json") for result in results]
