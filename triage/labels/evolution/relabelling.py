"""Ranking of incidents to label again: first those where the old label says least about the new one."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, Field

from triage.domain.annotation import Annotation, standing
from triage.domain.taxonomy import Facet, Taxonomy
from triage.labels.evolution.migration import Withdrawn
from triage.labels.evolution.rewording import Similarity, lexical, meaning

_CHUNK = 200
_WITHOUT_HEIR = {"split", "removed", "cardinality"}


class Relabelling(BaseModel, frozen=True):
    """One facet of one incident to label again, with what decides its rank.

    `disagreement` is 1 if its annotators differ and 0 if they agree; with one annotator, it is how often two annotators
    differ where either gives this label. `like_it` counts gold annotations with the same old label. `margin` is how
    much more similar the write-up is to the nearest candidate's definition than to the second's; None without a
    write-up.
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
        """True if no single new label replaces the old one."""
        return bool(_WITHOUT_HEIR & set(self.change))

    @property
    def urgency(self) -> tuple[bool, float, bool, int, float]:
        """Sort key, larger first."""
        margin = 2.0 if self.margin is None else self.margin
        return self.is_without_heir, self.disagreement, self.is_gold, self.like_it, -margin


def rank(
    withdrawn: Sequence[Withdrawn],
    annotations: Sequence[Annotation],
    new: Taxonomy,
    write_ups: Mapping[str, str] | None = None,
    similarity: Similarity = lexical,
) -> list[Relabelling]:
    """The incidents and facets to label again, most urgent first.

    First come labels that were split or removed, then disagreements between annotators, then gold labels that are
    frequent, then write-ups (`write_ups`: incident id -> text) close to two new definitions.
    """
    latest = standing(annotations)
    by_place: dict[tuple[str, str], list[Annotation]] = defaultdict(list)
    for annotation in latest:
        by_place[annotation.incident_id, annotation.facet].append(annotation)
    rates = _disagreement_rates(by_place)
    gold = Counter((a.facet, a.answer[0]) for a in latest if a.is_gold)
    places: dict[tuple[str, str], list[Withdrawn]] = defaultdict(list)
    for item in withdrawn:
        places[item.annotation.incident_id, item.annotation.facet].append(item)
    margins = _margins(places, new, write_ups or {}, similarity)
    ranked = []
    for place, items in places.items():
        incident_id, facet = place
        labels = tuple(dict.fromkeys(label for item in items for label in item.annotation.labels))
        nearest, margin = margins.get(place, ((), None))
        ranked.append(
            Relabelling(
                incident_id=incident_id,
                facet=items[0].facet,
                labels=labels,
                annotators=tuple(dict.fromkeys(item.annotation.annotator for item in items)),
                because="; ".join(dict.fromkeys(item.because for item in items)),
                choices=tuple(dict.fromkeys(choice for item in items for choice in item.choices)),
                change=tuple(dict.fromkeys(kind for item in items for kind in item.change)),
                disagreement=_disagreement(by_place[place], labels, rates, facet),
                is_gold=any(annotation.is_gold for annotation in by_place[place]),
                like_it=max(gold[facet, label] for label in labels),
                nearest=nearest,
                margin=margin,
            )
        )
    return sorted(ranked, key=lambda item: (*(-part for part in item.urgency), item.incident_id, item.facet))


def _disagreement(
    annotations: Sequence[Annotation], labels: Sequence[str], rates: Mapping[tuple[str, str | None], float], facet: str
) -> float:
    if len(annotations) > 1:
        return float(any(set(annotation.labels) != set(annotations[0].labels) for annotation in annotations))
    return max(rates.get((facet, label), rates.get((facet, None), 0.0)) for label in labels)


def _disagreement_rates(
    by_place: Mapping[tuple[str, str], Sequence[Annotation]],
) -> dict[tuple[str, str | None], float]:
    """(facet, label) -> the share of annotator pairs who differ where either gives the label; label None means any."""
    differ: dict[tuple[str, str | None], list[bool]] = defaultdict(list)
    for (_, facet), given in by_place.items():
        for first, second in itertools.combinations(given, 2):
            is_different = set(first.labels) != set(second.labels)
            for label in (None, *{*first.labels, *second.labels}):
                differ[facet, label].append(is_different)
    return {key: sum(differences) / len(differences) for key, differences in differ.items()}


def _margins(
    places: Mapping[tuple[str, str], Sequence[Withdrawn]],
    new: Taxonomy,
    write_ups: Mapping[str, str],
    similarity: Similarity,
) -> dict[tuple[str, str], tuple[tuple[str, ...], float]]:
    """(incident, old facet) -> the two new labels with the definitions most similar to its write-up, and their
    margin."""
    by_facet: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for place, items in places.items():
        if place[0] in write_ups:
            by_facet[items[0].facet].append(place)
    margins: dict[tuple[str, str], tuple[tuple[str, ...], float]] = {}
    # In chunks, because `similarity` compares all texts with each other.
    chunks = [
        (new.facet(facet), all_places[start : start + _CHUNK])
        for facet, all_places in by_facet.items()
        for start in range(0, len(all_places), _CHUNK)
    ]
    for facet, chunk_places in chunks:
        texts = [meaning(label) for label in facet.labels] + [write_ups[incident] for incident, _ in chunk_places]
        likeness = similarity(texts)
        for row, place in enumerate(chunk_places, start=len(facet.labels)):
            scores = {
                label: float(likeness[row, facet.ids.index(label)]) for label in _candidates(places[place], facet)
            }
            first, second = sorted(scores, key=lambda label: -scores[label])[:2]
            margins[place] = ((first, second), round(scores[first] - scores[second], 4))
    return margins


def _candidates(items: Sequence[Withdrawn], facet: Facet) -> list[str]:
    """The labels that can replace the old one: the known choices, a single choice and its rival, or all."""
    known = dict.fromkeys(choice for item in items for choice in item.choices)
    if len(known) == 1 and (rival := facet.label(next(iter(known))).rival):
        known[rival] = None
    return list(known) if len(known) > 1 else facet.ids
