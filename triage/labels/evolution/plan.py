"""The migration plan: what becomes of every old label. Proposed from the changes, confirmed by a person in a YAML
file."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, Field, model_validator

from triage.domain.errors import Conflict, InvalidInput, NotFound
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.yaml_file import read_yaml
from triage.labels.evolution.comparison import Change, Comparison
from triage.labels.evolution.succession import Succession

Action = Literal["keep", "map", "derive", "relabel"]
SeveralLabels = Literal["keep", "first", "relabel"]

_FOR_ONE_HEIR = {"renamed", "merged"}
_ENDINGS = (".yaml", ".yml")
_HEADER = """\
# What becomes of every label of the old taxonomy. Correct the steps, set `confirmed: true` on each, then run
#   triage taxonomy migrate {name} --annotations OLD.jsonl --out NEW.jsonl
#
# action: keep     the labels stand: the meaning is the same
#         map      the same meaning under the id in `to`; the labels stay those of the people who gave them
#         derive   another meaning, carried over to the id in `to` all the same; the labels become derived ones
#         relabel  the labels are taken out, and the incidents listed to be labelled anew
# several_labels (where a facet takes other numbers of labels now): keep, first, relabel

"""


class InvalidPlan(InvalidInput):
    """A plan that does not fit the two taxonomies; the detail lists every mistake."""

    title = "The migration plan is not valid"

    def __init__(self, problems: list[str]) -> None:
        listed = "\n".join(f"  {problem}" for problem in problems)
        count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
        super().__init__(f"The plan has {count}:\n{listed}", field="plan")
        self.problems = problems


class OutdatedPlan(Conflict):
    """A plan made for different contents of a taxonomy."""

    title = "The plan was made for another taxonomy"


class UnconfirmedPlan(Conflict):
    """A plan with unconfirmed steps."""

    title = "The plan is not confirmed"

    def __init__(self, steps: tuple[str, ...]) -> None:
        super().__init__(
            f"Unconfirmed steps: {', '.join(steps)}. Correct them if needed and set `confirmed: true` on each.",
            steps=list(steps),
        )


class LabelStep(BaseModel, frozen=True, extra="forbid"):
    """What becomes of an old label whose meaning or id changed.

    `keep` leaves its annotations, `map` gives them the id in `to`: in both cases the meaning is unchanged, and the
    labels remain their annotators' own. `derive` gives them the id in `to` although the meaning changed: they become
    derived labels. `relabel` withdraws them until the incident is labelled again, from `choices` if these are known.
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
            raise ValueError("the actions map and derive need `to`, the new label; other actions must not have it")
        if self.action == "map" and not _FOR_ONE_HEIR & set(self.change):
            raise ValueError(
                "`map` is only for labels that were renamed or merged; use `derive` if the meaning changed"
            )
        if self.action == "keep" and {"split", "removed"} & set(self.change):
            raise ValueError("a label that was split or removed can't be kept; use `derive` or `relabel`")
        return self


class FacetStep(BaseModel, frozen=True, extra="forbid"):
    """What becomes of an old facet. Without `to` its annotations are dropped.

    `several_labels` decides about annotations with several labels: keep them, keep the `first` label, or label again.
    """

    facet: str
    to: str | None
    because: str = ""
    several_labels: SeveralLabels = "keep"
    confirmed: bool = True
    unchanged: tuple[str, ...] = ()
    labels: tuple[LabelStep, ...] = ()

    def step(self, label: str) -> LabelStep | None:
        """The step of an old label; None if the label is unchanged."""
        return next((step for step in self.labels if step.label == label), None)


class PlannedTaxonomy(BaseModel, frozen=True, extra="forbid"):
    """One of the two taxonomies: its id or file, and its expected content."""

    taxonomy: str
    version: str
    fingerprint: str


class Plan(BaseModel, frozen=True, extra="forbid"):
    """What becomes of every facet and label of the old taxonomy."""

    old: PlannedTaxonomy
    new: PlannedTaxonomy
    facets: tuple[FacetStep, ...] = Field(min_length=1)

    @property
    def unconfirmed(self) -> tuple[str, ...]:
        """The unconfirmed steps, as `facet` or `facet.label`."""
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
        """Raise `OutdatedPlan` if the taxonomies changed since, `InvalidPlan` if the plan does not fit them."""
        for planned, taxonomy, which in ((self.old, old, "old"), (self.new, new, "new")):
            if planned.fingerprint != taxonomy.fingerprint:
                raise OutdatedPlan(
                    f"The {which} taxonomy {taxonomy.id} has changed since the plan was made (version "
                    f"{planned.version}, now {taxonomy.version}). Write a new plan with `triage taxonomy diff`.",
                    taxonomy=taxonomy.id,
                )
        problems = list(_problems(self, old, new))
        if problems:
            raise InvalidPlan(problems)


def propose(comparison: Comparison, old: Taxonomy, new: Taxonomy, old_name: str = "", new_name: str = "") -> Plan:
    """A plan based on the changes; guesses and new wordings are left for a person to confirm."""
    steps = []
    for succession in comparison.successions:
        if succession.old is None:
            continue
        if succession.new is None:
            steps.append(FacetStep(facet=succession.old, to=None, because="the new taxonomy has no such facet"))
            continue
        steps.append(_facet_step(succession, old.facet(succession.old), new.facet(succession.new), comparison))
    return Plan(old=_planned(old, old_name), new=_planned(new, new_name), facets=tuple(steps))


def _planned(taxonomy: Taxonomy, name: str) -> PlannedTaxonomy:
    return PlannedTaxonomy(taxonomy=name or taxonomy.id, version=taxonomy.version, fingerprint=taxonomy.fingerprint)


def _facet_step(succession: Succession, old: Facet, new: Facet, comparison: Comparison) -> FacetStep:
    reasons = []
    is_confirmed = succession.basis != "guess"
    if old.id != new.id:
        reasons.append(f"renamed ({basis_in_words(succession.basis, succession.score)})")
    if old.cardinality != new.cardinality:
        reasons.append(f"was {old.cardinality}, is {new.cardinality}")
    changes = [c for c in comparison.changes if c.of == "facet" and c.facet == new.id]
    if any(rewording.part == "question" for change in changes for rewording in change.rewordings):
        reasons.append("asks another question")
        is_confirmed = False
    labels = []
    for label in old.ids:
        changed = [c for c in comparison.of_label(new.id, label) if c.kind != "moved"]
        if {heir.new for heir in succession.heirs(label)} != {label} or any(c.kind == "redefined" for c in changed):
            labels.append(_label_step(succession, label, changed))
    return FacetStep(
        facet=old.id,
        to=new.id,
        because="; ".join(reasons),
        several_labels=_several_labels(old, new),
        confirmed=is_confirmed,
        unchanged=tuple(label for label in old.ids if label not in {step.label for step in labels}),
        labels=tuple(labels),
    )


def _label_step(succession: Succession, label: str, changes: list[Change]) -> LabelStep:
    heirs = succession.heirs(label)
    kinds = tuple(dict.fromkeys(change.kind for change in changes))
    is_guess = any(heir.basis == "guess" for heir in heirs)
    because = "; ".join(_reason(change, label) for change in changes)
    step = functools.partial(LabelStep, label=label, change=kinds, because=because)
    if len(heirs) != 1:
        return step(action="relabel", choices=tuple(heir.new for heir in heirs), confirmed=not is_guess)
    if heirs[0].new == label and "merged" in kinds:
        return step(action="keep", confirmed=False)
    # A guessed heir always has another wording; the person decides whether the meaning is the same.
    if "redefined" in kinds and not is_guess:
        return step(action="relabel", choices=(heirs[0].new,), confirmed=False)
    return step(action="map", to=heirs[0].new, confirmed=not is_guess)


def _reason(change: Change, label: str) -> str:
    known = f" ({basis_in_words(change.basis, change.score)})" if change.basis != "unchanged" else ""
    if change.kind == "split":
        return f"split into {', '.join(change.new)}{known}"
    if change.kind == "merged":
        return f"merged with {', '.join(other for other in change.old if other != label)} to {change.new[0]}{known}"
    if change.kind == "renamed":
        return f"renamed to {change.new[0]}{known}"
    if change.kind == "redefined":
        return f"reads otherwise: {', '.join(rewording.part for rewording in change.rewordings)}"
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
    """A primary label can stand alone; of labels without a primary one, none can be picked."""
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
        elif step.to is not None and [other.to for other in plan.facets].count(step.to) > 1:
            yield f"facet {step.facet!r}: {step.to!r} takes the place of another facet already"
        elif step.to is not None:
            yield from _label_problems(step, before, facets[step.to])


def _label_problems(step: FacetStep, old: Facet, new: Facet) -> Iterator[str]:
    named = [*step.unchanged, *(label_step.label for label_step in step.labels)]
    if old.cardinality != "single" and new.cardinality == "single" and step.several_labels == "keep":
        yield f"facet {step.facet!r}: takes one label now, so `several_labels` must be first or relabel"
    yield from (f"{step.facet}.{label}: has no step" for label in old.ids if label not in named)
    for label in dict.fromkeys(named):
        if label not in old.ids or named.count(label) > 1:
            yield f"{step.facet}.{label}: {'stands twice' if label in old.ids else 'is no label of the old taxonomy'}"
    for label in step.unchanged:
        if label in old.ids and label not in new.ids:
            yield f"{step.facet}.{label}: is not in the new taxonomy, so it is not unchanged"
    for label_step in step.labels:
        target = label_step.label if label_step.action == "keep" else label_step.to
        if target is not None and target not in new.ids:
            name = f"{step.facet}.{label_step.label}"
            yield f"{name}: {target!r} is no label of the new facet {new.id!r}: {', '.join(new.ids)}"


def write_plan(plan: Plan, path: Path) -> None:
    """Write a new plan file. Raises `Conflict` if the file exists, so that no decisions are lost."""
    content = plan.model_dump(mode="json", exclude_defaults=True)
    for which in ("old", "new"):
        content[which]["taxonomy"] = _from_folder(content[which]["taxonomy"], path.parent)
    body = yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(_HEADER.format(name=path.name) + body)
    except FileExistsError as error:
        raise Conflict(f"{path} exists already. Name another file, or delete it.", path=str(path)) from error
    except OSError as error:
        raise NotFound(f"{path} can't be written: {error.strerror}.", path=str(path)) from error


def read_plan(path: Path) -> tuple[Plan, Taxonomy, Taxonomy]:
    """A plan with its old and new taxonomy. Raises `NotFound`, `InvalidPlan` or `OutdatedPlan`."""
    problems, plan, _ = read_yaml(path, Plan, "old, new and facets")
    if plan is None or problems:
        raise InvalidPlan([f"line {problem.line}: {problem.message}" for problem in problems])
    old, new = (_load(planned, path.parent) for planned in (plan.old, plan.new))
    plan.check(old, new)
    return plan, old, new


def _from_folder(taxonomy: str, folder: Path) -> str:
    """The taxonomy's path relative to the plan's folder, so that both can be moved together."""
    return Path(os.path.relpath(taxonomy, folder)).as_posix() if taxonomy.endswith(_ENDINGS) else taxonomy


def _load(planned: PlannedTaxonomy, folder: Path) -> Taxonomy:
    is_file = planned.taxonomy.endswith(_ENDINGS)
    return Taxonomy.load(folder / planned.taxonomy if is_file else planned.taxonomy)


class _Dumper(yaml.SafeDumper):
    """Writes lists of plain values on one line, so that a step fits on a few lines."""


def _represent_list(dumper: yaml.SafeDumper, values: list[Any]) -> yaml.Node:
    is_plain = all(isinstance(value, str) for value in values)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", values, flow_style=is_plain)


_Dumper.add_representer(list, _represent_list)
