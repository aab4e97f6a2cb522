"""A migration plan: what is to become of every label of the old taxonomy. Proposed here, decided by a person."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, Self

from pydantic import BaseModel, Field, model_validator

from triage.domain.errors import Conflict, InvalidInput
from triage.domain.taxonomy import Facet, Taxonomy
from triage.labels.evolution.comparison import Change, Comparison
from triage.labels.evolution.succession import Succession

Action = Literal["keep", "map", "derive", "relabel"]
SeveralLabels = Literal["keep", "first", "relabel"]

_FOR_ONE_HEIR = {"renamed", "merged"}


class InvalidPlan(InvalidInput):
    """A plan that does not fit the two taxonomies; the detail lists each mistake."""

    title = "The migration plan is not valid"

    def __init__(self, problems: list[str]) -> None:
        listed = "\n".join(f"  {problem}" for problem in problems)
        super().__init__(f"The plan has {len(problems)} mistake(s):\n{listed}", field="plan")
        self.problems = problems


class OutdatedPlan(Conflict):
    """A plan made for another content of a taxonomy."""

    title = "The plan was made for another taxonomy"


class UnconfirmedPlan(Conflict):
    """A plan with steps that nobody confirmed."""

    title = "The plan is not confirmed"

    def __init__(self, steps: tuple[str, ...]) -> None:
        super().__init__(
            f"{len(steps)} step(s) wait for a person: {', '.join(steps)}. Correct them where needed and set "
            "`confirmed: true` on each.",
            steps=list(steps),
        )


class LabelStep(BaseModel, frozen=True, extra="forbid"):
    """What becomes of one old label whose meaning or id changed.

    `keep` lets its annotations stand and `map` gives them the id in `to`: both say that the meaning is the same, so
    that the labels stay those of the people who gave them. `derive` gives them the id in `to` although the meaning
    changed: they become derived labels. `relabel` takes them out until somebody labels the incident anew, out of
    `choices` where those are known.
    """

    label: str
    change: tuple[str, ...]
    because: str
    action: Action
    to: str | None = None
    choices: tuple[str, ...] = ()
    confirmed: bool

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.action in {"map", "derive"}) != (self.to is not None):
            raise ValueError("`to` names the new label for the actions map and derive, and for no other")
        if self.action == "map" and not _FOR_ONE_HEIR & set(self.change):
            raise ValueError("`map` is for a label that was renamed or merged; say `derive` where the meaning changed")
        if self.action == "keep" and {"split", "removed"} & set(self.change):
            raise ValueError("a label that was split or removed can't be kept; say `derive` or `relabel`")
        return self


class FacetStep(BaseModel, frozen=True, extra="forbid"):
    """What becomes of one old facet. Without `to` its annotations are dropped.

    `several_labels` says what becomes of an annotation with several labels: it stands, its `first` stands for it, or
    the incident is labelled anew.
    """

    facet: str
    to: str | None
    because: str = ""
    several_labels: SeveralLabels = "keep"
    confirmed: bool = True
    unchanged: tuple[str, ...] = ()
    labels: tuple[LabelStep, ...] = ()

    def step(self, label: str) -> LabelStep | None:
        """The step of an old label; None for one that stays as it is."""
        return next((step for step in self.labels if step.label == label), None)


class PlannedTaxonomy(BaseModel, frozen=True, extra="forbid"):
    """One of the two taxonomies: how it is loaded, and what it must hold."""

    taxonomy: str
    version: str
    fingerprint: str


class Plan(BaseModel, frozen=True, extra="forbid"):
    """What becomes of every facet and label of the old taxonomy; a person confirms each step that asks for it."""

    old: PlannedTaxonomy
    new: PlannedTaxonomy
    facets: tuple[FacetStep, ...] = Field(min_length=1)

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The steps that wait for a person, as `facet` or `facet.label`."""
        return tuple(
            name
            for facet in self.facets
            for name, confirmed in (
                (facet.facet, facet.confirmed),
                *((f"{facet.facet}.{step.label}", step.confirmed) for step in facet.labels),
            )
            if not confirmed
        )

    def facet(self, facet_id: str) -> FacetStep:
        """The step of an old facet; `check` makes sure that there is one."""
        return next(step for step in self.facets if step.facet == facet_id)

    def check(self, old: Taxonomy, new: Taxonomy) -> None:
        """Raise `OutdatedPlan` if it was made for other contents, `InvalidPlan` if it doesn't fit the taxonomies."""
        for planned, taxonomy, which in ((self.old, old, "old"), (self.new, new, "new")):
            if planned.fingerprint != taxonomy.fingerprint:
                raise OutdatedPlan(
                    f"The {which} taxonomy {taxonomy.id} is not what it was when the plan was made (version "
                    f"{planned.version}, now {taxonomy.version}): write the plan anew with `triage taxonomy diff`.",
                    taxonomy=taxonomy.id,
                )
        problems = list(_problems(self, old, new))
        if problems:
            raise InvalidPlan(problems)


def propose(comparison: Comparison, old: Taxonomy, new: Taxonomy, old_name: str = "", new_name: str = "") -> Plan:
    """A plan that follows from the changes; guesses and new wordings are left for a person to confirm."""
    steps = []
    for one in comparison.successions:
        if one.old is None:
            continue
        if one.new is None:
            steps.append(FacetStep(facet=one.old, to=None, because="the new taxonomy has no such facet"))
            continue
        steps.append(_facet_step(one, old.facet(one.old), new.facet(one.new), comparison))
    return Plan(old=_planned(old, old_name), new=_planned(new, new_name), facets=tuple(steps))


def _planned(taxonomy: Taxonomy, name: str) -> PlannedTaxonomy:
    return PlannedTaxonomy(taxonomy=name or taxonomy.id, version=taxonomy.version, fingerprint=taxonomy.fingerprint)


def _facet_step(one: Succession, old: Facet, new: Facet, comparison: Comparison) -> FacetStep:
    reasons = []
    is_confirmed = one.basis != "guess"
    if old.id != new.id:
        reasons.append(f"renamed ({basis_in_words(one.basis, one.score)})")
    if old.cardinality != new.cardinality:
        reasons.append(f"was {old.cardinality}, is {new.cardinality}")
    changes = [c for c in comparison.changes if c.of == "facet" and c.facet == new.id]
    if any(told.part == "question" for change in changes for told in change.rewordings):
        reasons.append("asks another question")
        is_confirmed = False
    labels = []
    for label in old.ids:
        changed = [c for c in comparison.of_label(new.id, label) if c.kind != "moved"]
        if {heir.new for heir in one.heirs(label)} != {label} or any(c.kind == "redefined" for c in changed):
            labels.append(_label_step(one, label, changed))
    return FacetStep(
        facet=old.id,
        to=new.id,
        because="; ".join(reasons),
        several_labels=_several_labels(old, new),
        confirmed=is_confirmed,
        unchanged=tuple(label for label in old.ids if label not in {step.label for step in labels}),
        labels=tuple(labels),
    )


def _label_step(one: Succession, label: str, changes: list[Change]) -> LabelStep:
    heirs = one.heirs(label)
    kinds = tuple(dict.fromkeys(change.kind for change in changes))
    is_guess = any(heir.basis == "guess" for heir in heirs)
    because = "; ".join(_reason(change, label) for change in changes)
    if len(heirs) != 1:
        return LabelStep(
            label=label,
            change=kinds,
            because=because,
            action="relabel",
            choices=tuple(heir.new for heir in heirs),
            confirmed=not is_guess,
        )
    if heirs[0].new == label and "merged" in kinds:
        return LabelStep(label=label, change=kinds, because=because, action="keep", confirmed=False)
    # A guess always reads otherwise; what is asked of the person is whether it means the same.
    if "redefined" in kinds and not is_guess:
        return LabelStep(
            label=label, change=kinds, because=because, action="relabel", choices=(heirs[0].new,), confirmed=False
        )
    return LabelStep(label=label, change=kinds, because=because, action="map", to=heirs[0].new, confirmed=not is_guess)


def _reason(change: Change, label: str) -> str:
    known = f" ({basis_in_words(change.basis, change.score)})" if change.basis != "unchanged" else ""
    if change.kind == "split":
        return f"split into {', '.join(change.new)}{known}"
    if change.kind == "merged":
        return f"merged with {', '.join(one for one in change.old if one != label)} to {change.new[0]}{known}"
    if change.kind == "renamed":
        return f"renamed to {change.new[0]}{known}"
    if change.kind == "redefined":
        return f"reads otherwise: {', '.join(told.part for told in change.rewordings)}"
    return "no label takes its place"


def basis_in_words(basis: str, score: float | None) -> str:
    """How a succession is known, for a reader."""
    return {
        "unchanged": "the id stayed",
        "stated": "stated in the new file",
        "identical": "the same definition",
        "guess": f"a guess, likeness {score or 0:.2f}",
    }[basis]


def _several_labels(old: Facet, new: Facet) -> SeveralLabels:
    """Of several labels the primary can stand alone; of labels of equal standing nobody said which comes first."""
    if old.cardinality == "multi" and new.cardinality != "multi":
        return "relabel"
    if old.cardinality == "primary_first" and new.cardinality == "single":
        return "first"
    return "keep"


def _problems(plan: Plan, old: Taxonomy, new: Taxonomy) -> Iterator[str]:
    planned = [step.facet for step in plan.facets]
    facets = {facet.id: facet for facet in new.facets}
    yield from (f"facet {facet.id!r} has no step" for facet in old.facets if facet.id not in planned)
    for step in plan.facets:
        before = next((facet for facet in old.facets if facet.id == step.facet), None)
        if before is None or planned.count(step.facet) > 1:
            yield f"facet {step.facet!r}: {'is no facet of the old taxonomy' if before is None else 'stands twice'}"
        elif step.to is not None and step.to not in facets:
            yield f"facet {step.facet!r}: {step.to!r} is no facet of the new taxonomy"
        elif step.to is not None and [one.to for one in plan.facets].count(step.to) > 1:
            yield f"facet {step.facet!r}: {step.to!r} takes the place of another facet already"
        elif step.to is not None:
            yield from _label_problems(step, before, facets[step.to])


def _label_problems(step: FacetStep, old: Facet, new: Facet) -> Iterator[str]:
    named = [*step.unchanged, *(one.label for one in step.labels)]
    if old.cardinality != "single" and new.cardinality == "single" and step.several_labels == "keep":
        yield f"facet {step.facet!r}: takes one label now, so `several_labels` must be first or relabel"
    yield from (f"{step.facet}.{label}: has no step" for label in old.ids if label not in named)
    for label in dict.fromkeys(named):
        if label not in old.ids or named.count(label) > 1:
            yield f"{step.facet}.{label}: {'stands twice' if label in old.ids else 'is no label of the old taxonomy'}"
    for label in step.unchanged:
        if label in old.ids and label not in new.ids:
            yield f"{step.facet}.{label}: is not in the new taxonomy, so it is not unchanged"
    for one in step.labels:
        wanted = one.to if one.to is not None else one.label if one.action == "keep" else None
        if wanted is not None and wanted not in new.ids:
            yield f"{step.facet}.{one.label}: {wanted!r} is no label of the new facet {new.id!r}: {', '.join(new.ids)}"
