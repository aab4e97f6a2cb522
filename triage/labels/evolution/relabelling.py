"""Which incidents to label anew first: where the old label says least about the new one."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence

from pydantic import BaseModel, Field

from triage.domain.annotation import Annotation, standing
from triage.domain.taxonomy import Facet, Taxonomy
from triage.labels.evolution.migration import Withdrawn
from triage.labels.evolution.wording import Similarity, lexical, meaning

_PORTION = 200
_WITHOUT_HEIR = {"split", "removed", "cardinality"}


class Relabelling(BaseModel, frozen=True):
    """One facet of one incident that is to be labelled anew, with what decides its rank.

    `disagreement` is 1 where its annotators differ, 0 where two or more agree, and else how often two differ where
    either gives this label. `like_it` counts the gold annotations with the same old label. `margin` is how much more
    its write-up is like the nearest candidate's definition than like the second's; None without a write-up.
    """

    incident_id: str
    facet: str
    labels: tuple[str, ...]
    annotators: tuple[str, ...]
    because: str
    choices: tuple[str, ...] = ()
    change: tuple[str, ...]
    disagreement: float = Field(ge=0, le=1)
    is_gold: bool
    like_it: int = Field(ge=0)
    nearest: tuple[str, ...] = ()
    margin: float | None = None

    @property
    def is_without_heir(self) -> bool:
        """True if no new label simply takes the old one's place."""
        return bool(_WITHOUT_HEIR & set(self.change))

    @property
    def urgency(self) -> tuple[bool, float, bool, int, float]:
        """Larger comes first; each part only where those before are equal."""
        margin = 2.0 if self.margin is None else self.margin
        return self.is_without_heir, self.disagreement, self.is_gold, self.like_it, -margin


def rank(
    withdrawn: Sequence[Withdrawn],
    annotations: Sequence[Annotation],
    new: Taxonomy,
    write_ups: Mapping[str, str] | None = None,
    similarity: Similarity = lexical,
) -> list[Relabelling]:
    """The incidents and facets to label anew, most urgent first.

    First those whose label was split or removed, then those on which annotators differ, then gold ones of frequent
    labels, then those whose write-up (`write_ups`: incident id -> text) stands on the border of two new definitions.
    """
    counted = standing(annotations)
    said: dict[tuple[str, str], list[Annotation]] = defaultdict(list)
    for annotation in counted:
        said[annotation.incident_id, annotation.facet].append(annotation)
    rates = _disagreement_rates(said)
    gold = Counter((a.facet, a.labels[0]) for a in counted if a.is_gold)
    places: dict[tuple[str, str], list[Withdrawn]] = defaultdict(list)
    for one in withdrawn:
        places[one.annotation.incident_id, one.annotation.facet].append(one)
    margins = _margins(places, new, write_ups or {}, similarity)
    found = []
    for place, ones in places.items():
        incident_id, facet = place
        labels = tuple(dict.fromkeys(label for one in ones for label in one.annotation.labels))
        nearest, margin = margins.get(place, ((), None))
        found.append(
            Relabelling(
                incident_id=incident_id,
                facet=ones[0].facet,
                labels=labels,
                annotators=tuple(dict.fromkeys(one.annotation.annotator for one in ones)),
                because="; ".join(dict.fromkeys(one.because for one in ones)),
                choices=tuple(dict.fromkeys(choice for one in ones for choice in one.choices)),
                change=tuple(dict.fromkeys(kind for one in ones for kind in one.change)),
                disagreement=_disagreement(said[place], labels, rates, facet),
                is_gold=any(annotation.is_gold for annotation in said[place]),
                like_it=max(gold[facet, label] for label in labels),
                nearest=nearest,
                margin=margin,
            )
        )
    return sorted(found, key=lambda one: (*(-part for part in one.urgency), one.incident_id, one.facet))


def _disagreement(
    said: Sequence[Annotation], labels: Sequence[str], rates: Mapping[tuple[str, str | None], float], facet: str
) -> float:
    if len(said) > 1:
        return float(any(set(one.labels) != set(said[0].labels) for one in said))
    return max(rates.get((facet, label), rates.get((facet, None), 0.0)) for label in labels)


def _disagreement_rates(said: Mapping[tuple[str, str], Sequence[Annotation]]) -> dict[tuple[str, str | None], float]:
    """(facet, label) -> the share of pairs of annotators who differ where either gives it; None is any label."""
    differ: dict[tuple[str, str | None], list[bool]] = defaultdict(list)
    for (_, facet), given in said.items():
        for one, other in itertools.combinations(given, 2):
            is_different = set(one.labels) != set(other.labels)
            for label in (None, *{*one.labels, *other.labels}):
                differ[facet, label].append(is_different)
    return {key: sum(found) / len(found) for key, found in differ.items()}


def _margins(
    places: Mapping[tuple[str, str], Sequence[Withdrawn]],
    new: Taxonomy,
    write_ups: Mapping[str, str],
    similarity: Similarity,
) -> dict[tuple[str, str], tuple[tuple[str, ...], float]]:
    """(incident, old facet) -> the two new labels whose definitions its write-up is most like, and by how much."""
    by_facet: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for place, ones in places.items():
        if place[0] in write_ups:
            by_facet[ones[0].facet].append(place)
    found: dict[tuple[str, str], tuple[tuple[str, ...], float]] = {}
    # In portions, since the similarity of all texts with each other is asked for.
    portions = [
        (new.facet(facet), all_there[start : start + _PORTION])
        for facet, all_there in by_facet.items()
        for start in range(0, len(all_there), _PORTION)
    ]
    for facet, there in portions:
        texts = [meaning(label) for label in facet.labels] + [write_ups[incident] for incident, _ in there]
        likeness = similarity(texts)
        for row, place in enumerate(there, start=len(facet.labels)):
            scores = {
                label: float(likeness[row, facet.ids.index(label)]) for label in _candidates(places[place], facet)
            }
            first, second = sorted(scores, key=lambda label: -scores[label])[:2]
            found[place] = ((first, second), round(scores[first] - scores[second], 4))
    return found


def _candidates(ones: Sequence[Withdrawn], facet: Facet) -> list[str]:
    """The labels that can take the old one's place: the known choices, one choice and its rival, or else all."""
    known = dict.fromkeys(choice for one in ones for choice in one.choices)
    if len(known) == 1:
        known |= dict.fromkeys(_rivals(facet, next(iter(known))))
    return list(known) if len(known) > 1 else facet.ids


def _rivals(facet: Facet, label: str) -> Iterator[str]:
    rival = facet.label(label).rival
    if rival is not None:
        yield rival
