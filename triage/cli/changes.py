"""How a taxonomy changed, and what that means for labels already given, as a person reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from triage.labels.evolution import AgreementChange, Change, Comparison, Migration, Plan, Relabelling
from triage.labels.evolution.plan import basis_in_words
from triage.labels.evolution.wording import Rewording, word_runs

_SHOWN_INCIDENTS = 10
_STYLES = {"same": "", "removed": "red", "added": "green"}
_MARKS = {"same": "{}", "removed": "[-{}-]", "added": "{{+{}+}}"}
_LISTS = {"includes", "excludes"}


def print_comparison(comparison: Comparison, plan: Plan, console: Console) -> None:
    """Print every change, facet by facet, and what becomes of the labels; made for 100 columns."""
    console.print(
        f"[bold]{escape(comparison.old)}[/bold] to [bold]{escape(comparison.new)}[/bold]: {_count(comparison)}"
    )
    for facet in dict.fromkeys(change.facet for change in comparison.changes):
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(ratio=1)
        for change in comparison.changes:
            if change.facet == facet:
                table.add_row(Text(change.kind, style="bold"), _told(change))
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


def _count(comparison: Comparison) -> str:
    n, guesses = len(comparison.changes), len(comparison.guesses)
    if not n:
        return "nothing changed that labels depend on"
    return f"{n} change{'s' * (n > 1)}" + (f", {guesses} of them guessed" if guesses else "")


def _told(change: Change) -> Text:
    """What changed, how that is known, and the words that changed."""
    text = Text(_names(change))
    if change.kind in {"cardinality", "moved"} or change.old == change.new:
        values = [value or "no parent" for value in (change.before, change.after)]
        text.append(f": {' -> '.join(values)}" if change.before or change.after else "")
    if change.is_guess:
        text.append(f"  guess, likeness {change.score or 0:.2f}: to be confirmed", style="yellow")
    elif change.basis != "unchanged":
        text.append(f"  {basis_in_words(change.basis, change.score)}", style="dim")
    for told in change.rewordings:
        text.append(f"\n{told.part}  ", style="dim")
        text.append_text(_words(told))
    return text


def _names(change: Change) -> str:
    if change.of == "facet" and (change.old == change.new or not (change.old and change.new)):
        return "the facet"
    names = [", ".join(ids) for ids in (change.old, change.new) if ids]
    return " -> ".join(dict.fromkeys(names))


def _words(told: Rewording) -> Text:
    """What went in [-brackets-] and what came in {+braces+}; a text in full, of a list only what changed."""
    if told.part in _LISTS:
        changed = [("removed", item) for item in told.removed] + [("added", item) for item in told.added]
        return Text(" ").join(Text(_MARKS[kind].format(item), _STYLES[kind]) for kind, item in changed)
    return Text(" ").join(
        Text(_MARKS[kind].format(words), _STYLES[kind]) for kind, words in word_runs(told.old, told.new)
    )


def _of_labels(plan: Plan) -> str:
    actions = Counter(step.action for facet in plan.facets for step in facet.labels)
    unchanged = sum(len(facet.unchanged) for facet in plan.facets)
    return (
        f"Of the old labels {unchanged + actions['keep']} stay, {actions['map']} get another id, and "
        f"{actions['relabel']} can only be relabelled."
    )


def _print_agreement(agreement: Sequence[AgreementChange], console: Console) -> None:
    if not agreement:
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for heading in ("facet", "annotators", "all", "before", "stand", "before", "after", "left"):
        table.add_column(heading, justify="right" if heading in {"all", "stand", "left"} else "left")
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
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column("", justify="right")
    table.add_column("incident", no_wrap=True)
    table.add_column("facet", no_wrap=True)
    table.add_column("label", no_wrap=True)
    table.add_column("why first", ratio=1)
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
