"""`triage taxonomy migrate`: bring annotations to a new version of their taxonomy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from triage.cli.taxonomy.labels import ANNOTATIONS, INCIDENTS, STORE, print_consequences, read_material
from triage.cli.terminal import JSON_OPTION, messages, output, print_json
from triage.domain.errors import InvalidInput


def migrate_annotations(
    plan_file: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan of `triage taxonomy diff --write-plan`.")],
    out: Annotated[Path, typer.Option(help="The annotations that are valid in the new version, as JSONL.")],
    annotations: Annotated[Path | None, ANNOTATIONS] = None,
    store: Annotated[bool, STORE] = False,
    incidents: Annotated[Path | None, INCIDENTS] = None,
    relabel: Annotated[Path | None, typer.Option(help="Write what is to be labelled anew, in order, as JSONL.")] = None,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Bring annotations to the new version of their taxonomy, by a plan that a person confirmed.

    The exit code is 0 when they are written; 2 if the plan is not confirmed, does not fit, or a file is wrong.
    """
    from triage.labels.annotation_job.annotation_files import write_annotations
    from triage.labels.evolution import agreement_changes, migrate, rank
    from triage.labels.evolution.plan import read_plan

    plan, before, after = read_plan(plan_file)
    if annotations is None and not store:
        raise InvalidInput("Say what to migrate: --annotations FILE or --store.", field="annotations")
    _check_distinct(annotations, out, relabel)
    material = read_material(before, annotations, incidents, store)
    migration = migrate(plan, before, after, material.annotations)
    ranked = rank(migration.withdrawn, material.annotations, after, material.write_ups)
    write_annotations(migration.annotations, out)
    if relabel is not None:
        relabel.write_text("".join(f"{one.model_dump_json()}\n" for one in ranked), encoding="utf-8")
    agreement = agreement_changes(plan, before, after, material.annotations, migration)
    if as_json:
        counts = migration.model_dump(mode="json", exclude={"annotations", "withdrawn"})
        figures = {"written": len(migration.annotations), **counts, "to_relabel": len(migration.withdrawn)}
        print_json({**figures, "agreement": agreement})
    else:
        print_consequences(migration, agreement, ranked, output(), is_done=True)
    messages().print(f"\n{len(migration.annotations)} annotations stand in {escape(str(out))}.", soft_wrap=True)


def _check_distinct(annotations: Path | None, out: Path, relabel: Path | None) -> None:
    """Refuse to overwrite the input: the labels that are taken out would be lost."""
    named = [path.resolve() for path in (annotations, out, relabel) if path is not None]
    if len(set(named)) < len(named):
        raise InvalidInput("--annotations, --out and --relabel must be different files.", field="out")
