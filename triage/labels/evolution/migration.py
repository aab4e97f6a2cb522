"""Applying a migration plan: annotations that stay valid, get a new id, or have to be labelled again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import BaseModel

from triage.domain.annotation import Annotation, standing
from triage.domain.taxonomy import Taxonomy
from triage.labels.evolution.plan import FacetStep, LabelStep, Plan, UnconfirmedPlan

_NOTE_CHARACTERS = 4000
_NAME_CHARACTERS = 200


class Withdrawn(BaseModel, frozen=True):
    """An annotation that is not valid in the new taxonomy, so its incident has to be labelled again.

    `facet` is the id in the new taxonomy; `choices` are the labels that replace the old one, if any.
    """

    annotation: Annotation
    facet: str
    change: tuple[str, ...]
    because: str
    choices: tuple[str, ...] = ()


class Migration(BaseModel, frozen=True):
    """The result of a plan; `annotations` are valid in the new taxonomy.

    `kept`, `mapped` and `derived` count them by action. `dropped` counts annotations of removed facets, `superseded`
    those that their annotator replaced later.
    """

    annotations: tuple[Annotation, ...]
    withdrawn: tuple[Withdrawn, ...]
    kept: int
    mapped: int
    derived: int
    dropped: int
    superseded: int


class _Migrated(NamedTuple):
    before: Annotation
    after: Annotation
    how: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Incident, annotator and new facet id."""
        return self.before.incident_id, self.before.annotator, self.after.facet


def migrate(plan: Plan, old: Taxonomy, new: Taxonomy, annotations: Sequence[Annotation]) -> Migration:
    """Apply a confirmed plan. Raises `UnconfirmedPlan`, `OutdatedPlan` or `InvalidPlan` without changing anything."""
    plan.check(old, new)
    if plan.unconfirmed:
        raise UnconfirmedPlan(plan.unconfirmed)
    return preview(plan, old, new, annotations)


def preview(plan: Plan, old: Taxonomy, new: Taxonomy, annotations: Sequence[Annotation]) -> Migration:
    """What the plan would do if it were confirmed as it is. An annotator's latest annotation of a facet counts."""
    latest = standing(annotations)
    moved: list[_Migrated] = []
    withdrawn: list[Withdrawn] = []
    dropped = 0
    for annotation in latest:
        canonical = annotation.model_copy(update={"labels": old.canonical_answer(annotation.facet, annotation.labels)})
        step = plan.facet(annotation.facet)
        if step.to is None:
            dropped += 1
            continue
        result = _move(canonical, step, old, new)
        if isinstance(result, Withdrawn):
            withdrawn.append(result)
        else:
            moved.append(result)
    orphaned = _orphaned(moved, old, new)
    stand = [item for item in moved if item.place not in orphaned]
    counts = Counter(item.how for item in stand)
    return Migration(
        annotations=tuple(item.after for item in stand),
        withdrawn=(*withdrawn, *(_without_child(item) for item in orphaned.values())),
        kept=counts["keep"],
        mapped=counts["map"],
        derived=counts["derive"],
        dropped=dropped,
        superseded=len(annotations) - len(latest),
    )


def _move(annotation: Annotation, step: FacetStep, old: Taxonomy, new: Taxonomy) -> _Migrated | Withdrawn:
    facet = new.facet(step.to or "")
    labels = annotation.labels[:1] if step.several_labels == "first" else annotation.labels
    steps = {label: found for label in labels if (found := step.step(label))}
    to_relabel = [label_step for label_step in steps.values() if label_step.action == "relabel"]
    if to_relabel:
        return _withdraw(annotation, facet.id, to_relabel)
    now = tuple(dict.fromkeys(steps[label].to or label if label in steps else label for label in labels))
    if len(now) > 1 and step.several_labels == "relabel":
        because = f"{len(now)} labels, and {step.because}"
        return Withdrawn(annotation=annotation, facet=facet.id, change=("cardinality",), because=because, choices=now)
    if any(label_step.action == "derive" for label_step in steps.values()):
        return _Migrated(annotation, _rewritten(annotation, facet.id, now, old, is_derived=True), "derive")
    if now == annotation.labels and facet.id == annotation.facet:
        return _Migrated(annotation, annotation, "keep")
    return _Migrated(annotation, _rewritten(annotation, facet.id, now, old, is_derived=False), "map")


def _withdraw(annotation: Annotation, facet: str, steps: Sequence[LabelStep]) -> Withdrawn:
    return Withdrawn(
        annotation=annotation,
        facet=facet,
        change=tuple(dict.fromkeys(kind for step in steps for kind in step.change)),
        because="; ".join(f"{step.label} was {step.because}" for step in steps),
        choices=tuple(dict.fromkeys(choice for step in steps for choice in step.choices)),
    )


def _rewritten(
    annotation: Annotation, facet: str, labels: tuple[str, ...], old: Taxonomy, *, is_derived: bool
) -> Annotation:
    """The annotation with its new ids. If the meaning changed, it becomes a derived annotation."""
    origin = f"migrated from {old.id} {old.version}: {annotation.facet} {', '.join(annotation.answer)}"
    values = annotation.model_dump() | {
        "facet": facet,
        "labels": labels,
        "note": f"{annotation.note[: _NOTE_CHARACTERS - len(origin) - 2]}; {origin}" if annotation.note else origin,
    }
    if is_derived:
        values |= {"origin": "derived", "annotator": f"derived:{annotation.annotator}"[:_NAME_CHARACTERS]}
    return Annotation.model_validate(values)


def _orphaned(moved: Sequence[_Migrated], old: Taxonomy, new: Taxonomy) -> dict[tuple[str, str, str], _Migrated]:
    """Parent annotations whose annotator's child label now belongs to another parent."""
    by_place = {item.place: item for item in moved}
    orphans: dict[tuple[str, str, str], _Migrated] = {}
    for child in moved:
        before, after = old.facet(child.before.facet), new.facet(child.after.facet)
        if before.parent is None or after.parent is None:
            continue
        parent = by_place.get((child.before.incident_id, child.before.annotator, after.parent))
        if parent is None or parent.before.facet != before.parent:
            continue
        fitted = all(before.label(label).parent in parent.before.labels for label in child.before.labels)
        fits = all(after.label(label).parent in parent.after.labels for label in child.after.labels)
        if fitted and not fits:
            orphans[parent.place] = parent
    return orphans


def _without_child(orphan: _Migrated) -> Withdrawn:
    because = f"its finer label moved from under {', '.join(orphan.before.labels)}"
    return Withdrawn(annotation=orphan.before, facet=orphan.after.facet, change=("moved",), because=because)
