"""The radar: groups of similar recent incidents that no label fits, each with a draft label."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from triage.domain.taxonomy import Facet, Taxonomy
from triage.history import Example
from triage.insights.radar.clustering import LEAST_TO_COMPARE, Floats, Space, apartness, groups_of
from triage.insights.radar.findings import IllFitting, Nearness, Radar, RadarGroup, Reason, ShownIncident, Sighting
from triage.insights.radar.label_drafts import Material, draft_label, telling_sentences
from triage.insights.study import Corpus, Record
from triage.insights.study.repeats import find_repeats
from triage.labels.codebook.terms import Term, separating_terms, top_terms
from triage.models.embedding import Vectors
from triage.pipeline.classification.sentences import without_boilerplate

_CAUTION = (
    "A draft is made from words and sentences by rule, or worded by a model, and nobody has checked it: read the "
    "incidents, then define a label, widen one, or leave it. Incidents that are alike need not have one cause."
)

_SHARED = 0.3
"""A word is typical of a group if this share of its incidents has it."""

_LEAST_Z = 1.5


class Criteria(NamedTuple):
    """What makes a group. The values were chosen on development data: evals/bench/radar.py.

    A label is unlikely below `least_probability`. An incident is far if all but the share `far` of the labelled ones
    have a nearer neighbour. `least` distinct incidents make a group; its pairs must be as similar on average as the
    `alike` share of most similar pairs of labelled incidents, and its apartness (see `clustering.py`) at least
    `least_apart`. From the similarity `same` on, incidents are near duplicates and count once.
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
    """A redacted incident that fits poorly, with the reasons, its vector if known, and its parent labels."""

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
    """The radar over these suspects, newest first, out of `recent` incidents.

    `labelled` incidents have a fitting label of `facet`. Those without a text are used for distances, not for words.
    """
    read = [suspect for suspect in suspects if suspect.vector is not None]
    once = _once(taxonomy, read, criteria.same)
    groups: list[RadarGroup] = []
    if len(labelled) >= LEAST_TO_COMPARE and len(once) >= criteria.least:
        groups = _Scanner(taxonomy, facet, once, labelled, criteria).groups()
    return Radar(
        taxonomy=f"{taxonomy.id} {taxonomy.version}",
        facet=facet.id,
        recent=recent,
        labelled=len(labelled),
        unread=len(suspects) - len(read),
        ill_fitting=tuple(
            IllFitting(incident_id=seen.id, title=seen.incident.title, seen_at=seen.seen_at, reasons=suspect.reasons)
            for suspect in suspects
            for seen in (suspect.sighting,)
        ),
        groups=tuple(groups),
        quiet=None if groups else _quiet(facet, len(once), len(labelled), criteria),
        notes=tuple(_notes(facet, labelled)),
    )


class _Scanner:
    """Describes the groups of one scan. `once` lists the distinct suspects, each with its near duplicates."""

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

    def groups(self) -> list[RadarGroup]:
        """The groups that are separate enough, largest first."""
        clusters = groups_of(self._placed, self._space.alike(self._criteria.alike), self._criteria.least)
        apart = {tuple(group): apartness(self._placed[group], self._space.labelled) for group in clusters}
        drafted: list[str] = []
        groups = []
        for group in clusters:
            if apart[tuple(group)] >= self._criteria.least_apart:
                groups.append(self._describe(group, apart[tuple(group)], drafted))
                drafted.append(groups[-1].draft.label.id)
        return groups

    def _describe(self, group: Sequence[int], apart: float, drafted: Sequence[str]) -> RadarGroup:
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
        everyone = [entry for same in members for entry in same]
        seen = sorted(entry.sighting.seen_at for entry in everyone)
        pairs = list(zip(self._labelled, self._labelled_texts, strict=True))
        by_label = {
            entry.label: [text for example, text in pairs if text and _has(example, self._facet, entry.label)]
            for entry in nearest
        }
        parents = [parent for same in members for parent in same[0].parents[:1]]
        material = Material(texts, terms, [entry for entry in sentences if entry], parents, by_label)
        return RadarGroup(
            size=len(group),
            incidents=tuple(entry.sighting.id for entry in everyone),
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
        nearest = []
        for label in self._facet.ids:
            having = [place for place, example in enumerate(self._labelled) if _has(example, self._facet, label)]
            if having:
                nearest.append(Nearness(label=label, similarity=float(alike[:, having].mean()), n=len(having)))
        nearest.sort(key=lambda nearness: (-nearness.similarity, nearness.label))
        return nearest[: self._criteria.most_nearest]

    def _terms(self, texts: Sequence[str], group: set[int]) -> list[Term]:
        others = [text for place, text in enumerate(self._texts) if place not in group]
        others += [text for text in self._labelled_texts if text]
        terms = separating_terms(texts, others, [*texts, *others])
        least_texts = max(2, math.ceil(len(texts) * _SHARED))
        return top_terms(terms, least_z=_LEAST_Z, least_texts=least_texts, most=self._criteria.most_terms)[0]


def _once(taxonomy: Taxonomy, suspects: Sequence[Suspect], similarity: float) -> list[list[Suspect]]:
    """The suspects, grouped with their near duplicates."""
    by_id = {suspect.sighting.id: suspect for suspect in suspects}
    records = tuple(Record(suspect.sighting.incident, {}) for suspect in suspects)
    vectors = {suspect.sighting.id: _vector(suspect) for suspect in suspects}
    repeats = find_repeats(Corpus("suspects", taxonomy, records, ""), vectors, similarity)
    together = {name: repeat.incident_ids for repeat in repeats.groups for name in repeat.incident_ids}
    groups: dict[str, list[Suspect]] = {}
    for name, suspect in by_id.items():
        groups.setdefault(together.get(name, (name,))[0], []).append(suspect)
    return list(groups.values())


def _vector(suspect: Suspect) -> Vectors:
    if suspect.vector is None:
        raise ValueError("only suspects that were embedded are compared")
    return suspect.vector


def _has(example: Example, facet: Facet, label: str) -> bool:
    given = example.labels.get(facet.id, ())
    return label in (given if facet.cardinality == "multi" else given[:1])


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
    without = [label for label in facet.ids if not any(_has(example, facet, label) for example in labelled)]
    without = [label for label in without if not (facet.label(label).residual or facet.label(label).undisclosed)]
    if not without:
        return [_CAUTION]
    named = ", ".join(without)
    return [_CAUTION, f"No labelled incident was there to compare with for: {named}. Look at their definitions too."]
