"""`triage taxonomy diff` and `migrate`: what changed between two versions, and annotations brought to the new one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Column
from rich.text import Text

from triage.cli.taxonomy.labels import ANNOTATIONS, INCIDENTS, STORE, print_consequences, read_material
from triage.cli.terminal import FAILURE, JSON_OPTION, messages, output, plain_table, print_json
from triage.domain.errors import InvalidInput

if TYPE_CHECKING:
    from triage.labels.evolution import Change, Comparison, Plan
    from triage.labels.evolution.rewording import Rewording

_STYLES = {"same": "", "removed": "red", "added": "green"}
_MARKS = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
_LISTS = {"includes", "excludes"}


def diff(
    old: Annotated[str, typer.Argument(help="The old version: a shipped taxonomy or a YAML file.")],
    new: Annotated[str, typer.Argument(help="The new version.")],
    annotations: Annotated[Path | None, ANNOTATIONS] = None,
    store: Annotated[bool, STORE] = False,
    incidents: Annotated[Path | None, INCIDENTS] = None,
    write_plan: Annotated[Path | None, typer.Option(help="Write a migration plan, to be confirmed.")] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="End with 1 if anything changed.")] = False,
    as_json: Annotated[bool, JSON_OPTION] = False,
) -> None:
    """Tell what changed between two versions of a taxonomy, and what that means for labels already given.

    The exit code is 0; with --exit-code 1 if anything changed; 2 if a file is wrong.
    """
    from triage.domain.taxonomy import Taxonomy
    from triage.labels.evolution import agreement_changes, compare, preview, propose, rank
    from triage.labels.evolution.plan import write_plan as write

    before, after = Taxonomy.load(old), Taxonomy.load(new)
    material = read_material(before, annotations, incidents, store)
    comparison = compare(before, after)
    plan = propose(comparison, before, after, old, new)
    migration = preview(plan, before, after, material.annotations)
    if write_plan is not None:
        write(plan, write_plan)
    agreement = agreement_changes(plan, before, after, material.annotations, migration)
    ranked = rank(migration.withdrawn, material.annotations, after, material.write_ups)
    if as_json:
        counts = migration.model_dump(mode="json", include={"kept", "mapped", "derived", "dropped", "superseded"})
        print_json(
            {
                **comparison.model_dump(mode="json", exclude={"successions"}),
                "plan": plan,
                "annotations": counts | {"to_relabel": len(migration.withdrawn)},
                "agreement": agreement,
                "relabel": ranked,
            }
        )
    else:
        _print_comparison(comparison, plan, output())
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


def _print_comparison(comparison: Comparison, plan: Plan, console: Console) -> None:
    """Print every change, facet by facet, and what becomes of the labels; made for 100 columns."""
    console.print(
        f"[bold]{escape(comparison.old)}[/bold] to [bold]{escape(comparison.new)}[/bold]: {_count(comparison)}"
    )
    for facet in dict.fromkeys(change.facet for change in comparison.changes):
        table = plain_table(Column(no_wrap=True), Column(ratio=1))
        for change in comparison.changes:
            if change.facet == facet:
                table.add_row(Text(change.kind, style="bold"), _describe(change))
        console.print(f"\n[bold cyan]{escape(facet)}[/bold cyan]")
        console.print(table)
    if not comparison.changes:
        return
    console.print(f"\n{_of_labels(plan)}")
    if comparison.guesses:
        console.print(
            "A guess is used for nothing before somebody confirms it: in a plan (--write-plan), or for good by "
            r"`replaces: \[old ids]` at the new label."
        )


def _count(comparison: Comparison) -> str:
    n, guesses = len(comparison.changes), len(comparison.guesses)
    if not n:
        return "nothing changed that labels depend on"
    return f"{n} change{'s' * (n > 1)}" + (f", {guesses} of them guessed" if guesses else "")


def _describe(change: Change) -> Text:
    from triage.labels.evolution.plan import basis_in_words

    text = Text(_names(change))
    if change.kind in {"cardinality", "moved"} or change.old == change.new:
        values = [value or "no parent" for value in (change.before, change.after)]
        text.append(f": {' -> '.join(values)}" if change.before or change.after else "")
    if change.is_guess:
        text.append(f"  guess, likeness {change.score or 0:.2f}: to be confirmed", style="yellow")
    elif change.basis != "unchanged":
        text.append(f"  {basis_in_words(change.basis, change.score)}", style="dim")
    for rewording in change.rewordings:
        text.append(f"\n{rewording.part}  ", style="dim")
        text.append_text(_words(rewording))
    return text


def _names(change: Change) -> str:
    if change.of == "facet" and (change.old == change.new or not (change.old and change.new)):
        return "the facet"
    names = [", ".join(ids) for ids in (change.old, change.new) if ids]
    return " -> ".join(dict.fromkeys(names))


def _words(rewording: Rewording) -> Text:
    """Removed words as [-removed-], added ones as {+added+}. A text in full, of a list only what changed."""
    from triage.labels.evolution.rewording import word_runs

    if rewording.part in _LISTS:
        changed = [("removed", item) for item in rewording.removed] + [("added", item) for item in rewording.added]
        return Text(" ").join(Text(_MARKS[kind].format(item), _STYLES[kind]) for kind, item in changed)
    return Text(" ").join(
        Text(_MARKS[kind].format(words), _STYLES[kind]) for kind, words in word_runs(rewording.old, rewording.new)
    )


def _of_labels(plan: Plan) -> str:
    actions = Counter(step.action for facet in plan.facets for step in facet.labels)
    unchanged = sum(len(facet.unchanged) for facet in plan.facets)
    return (
        f"Of the old labels {unchanged + actions['keep']} stay, {actions['map']} get another id, and "
        f"{actions['relabel']} can only be relabelled."
    )


def _check_distinct(annotations: Path | None, out: Path, relabel: Path | None) -> None:
    """Refuse to overwrite the input: the labels that are taken out would be lost."""
    named = [path.resolve() for path in (annotations, out, relabel) if path is not None]
    if len(set(named)) < len(named):
        raise InvalidInput("--annotations, --out and --relabel must be different files.", field="out")
