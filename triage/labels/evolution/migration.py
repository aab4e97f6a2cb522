"""Annotations under a migration plan: which stand, which get a new id, and which incidents are to be labelled anew."""

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
    """An annotation that does not stand in the new taxonomy: its incident is to be labelled anew.

    `facet` is the facet's id in the new taxonomy; `choices` are the labels that took the place of the old one, if any.
    """

    annotation: Annotation
    facet: str
    change: tuple[str, ...]
    because: str
    choices: tuple[str, ...] = ()


class Migration(BaseModel, frozen=True):
    """What a plan makes of annotations; `annotations` are those that are valid in the new taxonomy.

    `kept`, `mapped` and `derived` count them by how they got there. `dropped` were of facets that are gone,
    `superseded` were not their annotator's latest word.
    """

    annotations: tuple[Annotation, ...]
    withdrawn: tuple[Withdrawn, ...]
    kept: int
    mapped: int
    derived: int
    dropped: int
    superseded: int


class _Moved(NamedTuple):
    before: Annotation
    after: Annotation
    how: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Whose word on which facet of which incident this is; the facet's id is the new one."""
        return self.before.incident_id, self.before.annotator, self.after.facet


def migrate(plan: Plan, old: Taxonomy, new: Taxonomy, annotations: Sequence[Annotation]) -> Migration:
    """Apply a confirmed plan. Raises `UnconfirmedPlan`, `OutdatedPlan` or `InvalidPlan`, and changes nothing then."""
    plan.check(old, new)
    if plan.unconfirmed:
        raise UnconfirmedPlan(plan.unconfirmed)
    return preview(plan, old, new, annotations)


def preview(plan: Plan, old: Taxonomy, new: Taxonomy, annotations: Sequence[Annotation]) -> Migration:
    """What the plan would do, were it confirmed as it stands. An annotator's latest word on a facet counts."""
    counted = standing(annotations)
    moved: list[_Moved] = []
    withdrawn: list[Withdrawn] = []
    dropped = 0
    for annotation in counted:
        canonical = annotation.model_copy(update={"labels": old.canonical(annotation.facet, annotation.labels)})
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
    stand = [one for one in moved if one.place not in orphaned]
    counts = Counter(one.how for one in stand)
    return Migration(
        annotations=tuple(one.after for one in stand),
        withdrawn=(*withdrawn, *(_without_child(one) for one in orphaned.values())),
        kept=counts["keep"],
        mapped=counts["map"],
        derived=counts["derive"],
        dropped=dropped,
        superseded=len(annotations) - len(counted),
    )


def _move(annotation: Annotation, step: FacetStep, old: Taxonomy, new: Taxonomy) -> _Moved | Withdrawn:
    facet = new.facet(step.to or "")
    labels = annotation.labels[:1] if step.several_labels == "first" else annotation.labels
    steps = {label: found for label in labels if (found := step.step(label))}
    anew = [one for one in steps.values() if one.action == "relabel"]
    if anew:
        return _withdraw(annotation, facet.id, anew)
    now = tuple(dict.fromkeys(steps[label].to or label if label in steps else label for label in labels))
    if len(now) > 1 and step.several_labels == "relabel":
        because = f"{len(now)} labels, and {step.because}"
        return Withdrawn(annotation=annotation, facet=facet.id, change=("cardinality",), because=because, choices=now)
    if any(one.action == "derive" for one in steps.values()):
        return _Moved(annotation, _rewritten(annotation, facet.id, now, old, is_derived=True), "derive")
    if now == annotation.labels and facet.id == annotation.facet:
        return _Moved(annotation, annotation, "keep")
    return _Moved(annotation, _rewritten(annotation, facet.id, now, old, is_derived=False), "map")


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
    """The annotation under its new ids. Where the meaning changed it is no longer what its annotator said."""
    came = f"migrated from {old.id} {old.version}: {annotation.facet} {', '.join(annotation.labels)}"
    values = annotation.model_dump() | {
        "facet": facet,
        "labels": labels,
        "note": f"{annotation.note[: _NOTE_CHARACTERS - len(came) - 2]}; {came}" if annotation.note else came,
    }
    if is_derived:
        values |= {"origin": "derived", "annotator": f"derived:{annotation.annotator}"[:_NAME_CHARACTERS]}
    return Annotation.model_validate(values)


def _orphaned(moved: Sequence[_Moved], old: Taxonomy, new: Taxonomy) -> dict[tuple[str, str, str], _Moved]:
    """Annotations of a parent facet that fitted the same annotator's child label, which now belongs elsewhere."""
    by_place = {one.place: one for one in moved}
    found: dict[tuple[str, str, str], _Moved] = {}
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
            found[parent.place] = parent
    return found


def _without_child(one: _Moved) -> Withdrawn:
    because = f"its finer label moved from under {', '.join(one.before.labels)}"
    return Withdrawn(annotation=one.before, facet=one.after.facet, change=("moved",), because=because)
