"""The radar: groups of recent incidents that are alike and that no label fits, each with a draft of a label."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from triage.domain.taxonomy import Facet, Taxonomy
from triage.history import Example
from triage.insights.radar.drafting import Material, draft_label, telling_sentences
from triage.insights.radar.fitting import Sighting
from triage.insights.radar.grouping import LEAST_TO_COMPARE, Floats, Space, apartness, groups_of
from triage.insights.radar.report import Group, IllFitting, Nearness, Radar, Reason, ShownIncident
from triage.insights.study import Corpus, Record
from triage.insights.study.repeats import find_repeats
from triage.labels.codebook.terms import Term, separating_terms, telling
from triage.models.embedding import Vectors
from triage.pipeline.classification.sentences import without_boilerplate

_CAUTION = (
    "A draft is made from words and sentences by rule, or worded by a model, and nobody has checked it: read the "
    "incidents, then define a label, widen one, or leave it. Incidents that are alike need not have one cause."
)

_SHARED = 0.3
"""A word tells of a group where so many of its incidents have it."""

_LEAST_Z = 1.5


class Criteria(NamedTuple):
    """What makes a group. Chosen on development data: evals/bench/radar.py.

    A label is unlikely below `least_probability`; an incident is far where all but the share `far` of the labelled ones
    have a nearer one. `least` distinct incidents make a group, whose pairs are on average as alike as the `alike`
    share of most similar pairs of labelled incidents, and whose apartness (see `grouping.py`) is `least_apart` or more.
    Incidents are nearly the same, and count once, from the similarity `same` on.
    """

    least: int = 5
    least_probability: float = 0.7
    far: float = 0.05
    alike: float = 0.15
    least_apart: float = 0.6
    same: float = 0.95
    most_terms: int = 8
    most_examples: int = 3
    most_nearest: int = 2


DEFAULT_CRITERIA = Criteria()


class Suspect(NamedTuple):
    """An ill-fitting incident, redacted, with the reasons and the vector of its text, if that is known.

    `parents` are the labels of the facet that this one refines, as people or triage gave them.
    """

    sighting: Sighting
    reasons: tuple[Reason, ...]
    vector: Vectors | None
    parents: tuple[str, ...] = ()


def scan(
    taxonomy: Taxonomy,
    facet: Facet,
    suspects: Sequence[Suspect],
    labelled: Sequence[Example],
    recent: int,
    criteria: Criteria = DEFAULT_CRITERIA,
) -> Radar:
    """The radar over these suspects, newest first, out of `recent` incidents; `labelled` have a label of `facet` that
    fits. Those of them without a text count as places, not for words."""
    read = [suspect for suspect in suspects if suspect.vector is not None]
    once = _once(taxonomy, read, criteria.same)
    groups: list[Group] = []
    if len(labelled) >= LEAST_TO_COMPARE and len(once) >= criteria.least:
        groups = _Scanner(taxonomy, facet, once, labelled, criteria).groups()
    return Radar(
        taxonomy=f"{taxonomy.id} {taxonomy.version}",
        facet=facet.id,
        recent=recent,
        labelled=len(labelled),
        unread=len(suspects) - len(read),
        ill_fitting=tuple(map(_told, suspects)),
        groups=tuple(groups),
        quiet=None if groups else _quiet(facet, len(once), len(labelled), criteria),
        notes=tuple(_notes(facet, labelled)),
    )


class _Scanner:
    """What the groups of one scan are described with. `once` maps each distinct suspect to those nearly the same."""

    def __init__(
        self,
        taxonomy: Taxonomy,
        facet: Facet,
        once: Sequence[Sequence[Suspect]],
        labelled: Sequence[Example],
        criteria: Criteria,
    ) -> None:
        self._taxonomy, self._facet, self._once, self._criteria = taxonomy, facet, once, criteria
        self._labelled = labelled
        self._space = Space(np.stack([example.vector for example in labelled]))
        self._placed = self._space.place(np.stack([_vector(same[0]) for same in once]))
        self._texts = [without_boilerplate(same[0].sighting.incident.text) for same in once]
        self._labelled_texts = [without_boilerplate(example.text) for example in labelled]

    def groups(self) -> list[Group]:
        """The groups that are a kind of their own, largest first."""
        found = groups_of(self._placed, self._space.alike(self._criteria.alike), self._criteria.least)
        apart = {tuple(group): apartness(self._placed[group], self._space.labelled) for group in found}
        drafted: list[str] = []
        groups = []
        for group in found:
            if apart[tuple(group)] >= self._criteria.least_apart:
                groups.append(self._describe(group, apart[tuple(group)], drafted))
                drafted.append(groups[-1].draft.label.id)
        return groups

    def _describe(self, group: Sequence[int], apart: float, drafted: Sequence[str]) -> Group:
        placed = self._placed[group]
        alike = placed @ placed.T
        central = (alike.sum(axis=1) - 1) / (len(group) - 1)
        order = np.argsort(-central, kind="stable").tolist()
        members = [self._once[group[place]] for place in order]
        shown = members[: self._criteria.most_examples]
        nearest = self._nearest(placed)
        texts = [self._texts[group[place]] for place in order]
        terms = self._terms(texts, set(group))
        sentences = telling_sentences(texts, terms, self._taxonomy)
        everyone = [one for same in members for one in same]
        seen = sorted(one.sighting.seen_at for one in everyone)
        by_label = {one.label: self._texts_of(one.label) for one in nearest}
        parents = [parent for same in members for parent in same[0].parents[:1]]
        material = Material(texts, terms, [one for one in sentences if one], parents, by_label)
        return Group(
            size=len(group),
            incidents=tuple(one.sighting.id for one in everyone),
            cohesion=float(central.mean()),
            apartness=apart,
            nearest=tuple(nearest),
            first_seen=seen[0],
            last_seen=seen[-1],
            months=dict(sorted(Counter(f"{moment:%Y-%m}" for moment in seen).items())),
            terms=tuple(terms),
            examples=tuple(
                ShownIncident(
                    incident_id=same[0].sighting.id,
                    title=same[0].sighting.incident.title,
                    sentence=sentence,
                    similarity=float(central[place]),
                )
                for same, sentence, place in zip(shown, sentences, order, strict=False)
            ),
            draft=draft_label(self._facet, material, drafted),
        )

    def _nearest(self, placed: Floats) -> list[Nearness]:
        alike = placed @ self._space.labelled.T
        found = []
        for label in self._facet.ids:
            having = [place for place, example in enumerate(self._labelled) if _has(example, self._facet, label)]
            if having:
                found.append(Nearness(label=label, similarity=float(alike[:, having].mean()), n=len(having)))
        return sorted(found, key=lambda one: (-one.similarity, one.label))[: self._criteria.most_nearest]

    def _terms(self, texts: Sequence[str], group: set[int]) -> list[Term]:
        others = [text for place, text in enumerate(self._texts) if place not in group]
        others += [text for text in self._labelled_texts if text]
        terms = separating_terms(texts, others, [*texts, *others])
        least_texts = max(2, math.ceil(len(texts) * _SHARED))
        return telling(terms, least_z=_LEAST_Z, least_texts=least_texts, most=self._criteria.most_terms)[0]

    def _texts_of(self, label: str) -> list[str]:
        told = zip(self._labelled, self._labelled_texts, strict=True)
        return [text for example, text in told if text and _has(example, self._facet, label)]


def _once(taxonomy: Taxonomy, suspects: Sequence[Suspect], similarity: float) -> list[list[Suspect]]:
    """The suspects, those that are nearly the same in one list, the first of them standing for all."""
    by_id = {suspect.sighting.id: suspect for suspect in suspects}
    records = tuple(Record(suspect.sighting.incident, {}) for suspect in suspects)
    vectors = {suspect.sighting.id: _vector(suspect) for suspect in suspects}
    repeats = find_repeats(Corpus("suspects", taxonomy, records, ""), vectors, similarity)
    together = {name: repeat.incident_ids for repeat in repeats.groups for name in repeat.incident_ids}
    found: dict[str, list[Suspect]] = {}
    for name, suspect in by_id.items():
        found.setdefault(together.get(name, (name,))[0], []).append(suspect)
    return list(found.values())


def _vector(suspect: Suspect) -> Vectors:
    if suspect.vector is None:
        raise ValueError("only suspects that were embedded are compared")
    return suspect.vector


def _has(example: Example, facet: Facet, label: str) -> bool:
    given = example.labels.get(facet.id, ())
    return label in (given if facet.cardinality == "multi" else given[:1])


def _told(suspect: Suspect) -> IllFitting:
    sighting = suspect.sighting
    return IllFitting(
        incident_id=sighting.id, title=sighting.incident.title, seen_at=sighting.seen_at, reasons=suspect.reasons
    )


def _quiet(facet: Facet, once: int, labelled: int, criteria: Criteria) -> str:
    if labelled < LEAST_TO_COMPARE:
        return (
            f"{labelled} incidents have a gold label of {facet.id} that fits: {LEAST_TO_COMPARE} are needed to tell "
            "what is usual."
        )
    if once < criteria.least:
        return (
            f"{once} distinct incidents fit no label of {facet.id} well: {criteria.least} that are alike are needed "
            "for a group."
        )
    return (
        f"{once} distinct incidents fit no label of {facet.id} well, and no {criteria.least} of them are alike and "
        "apart from those with a label."
    )


def _notes(facet: Facet, labelled: Sequence[Example]) -> list[str]:
    without = [label for label in facet.ids if not any(_has(one, facet, label) for one in labelled)]
    without = [label for label in without if not (facet.label(label).residual or facet.label(label).undisclosed)]
    if not without:
        return [_CAUTION]
    named = ", ".join(without)
    return [_CAUTION, f"No labelled incident was there to compare with for: {named}. Look at their definitions too."]
