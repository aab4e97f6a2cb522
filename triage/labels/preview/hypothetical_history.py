"""One team's history with and without a correction, and the evidence that each gives for an incident."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import Neighbour, Triage
from triage.history import Example
from triage.history.casebook import Foreseen
from triage.history.duplicates import is_near_duplicate
from triage.history.exact_search import ExactSearch
from triage.history.retrieval import Ranking
from triage.models.embedding import Vectors
from triage.pipeline.classification.likeness import REFERENCE_INCIDENTS, Moves, in_reference_order, moved
from triage.pipeline.classification.linear_models import Distributions, LinearModels, TrainingSet, labelled

LEARNED = ("words", "embedding", "cues")


class RereadIncident(NamedTuple):
    """A triaged incident with the text its triage read, its vector, and its similarity to the corrected incident."""

    incident: Incident
    team: str
    triage: Triage
    text: str
    vector: Vectors
    similarity: float


class HistoryEvidence(NamedTuple):
    """The history's evidence for an incident: its neighbours, and facet -> source -> label -> probability."""

    neighbours: list[Neighbour]
    learned: dict[str, Distributions]


class _Side(NamedTuple):
    """The history with or without the correction; `incidents` are ids and labels at the places of all known
    incidents."""

    held: ExactSearch
    incidents: list[tuple[str, Labels]]
    taught: dict[str, list[tuple[int, str]]]


class HypotheticalHistory:
    """Compares the evidence of the history as it is and with the correction.

    Facets whose gold labels the correction leaves alone keep the classifiers' stored results: retraining would use the
    same incidents.
    """

    def __init__(
        self, taxonomy: Taxonomy, examples: Sequence[Example], foreseen: Foreseen, neighbours: int, ranking: Ranking
    ) -> None:
        self._foreseen = foreseen
        self._neighbours = neighbours
        others = [example for example in examples if example.incident_id != foreseen.example.incident_id]
        self._known = [*others, foreseen.example]
        self._corrected = len(others)
        self._facets = [facet for facet in taxonomy.triaged if facet.id in foreseen.changed]
        self._before, self._after = (
            self._side(others, labels, ranking) for labels in (foreseen.before, foreseen.after)
        )
        self._examples = examples
        self._in_order = in_reference_order(self._known) if foreseen.changes_members else []
        self._places = {example.incident_id: place for place, example in enumerate(self._known)}
        taught = (pair for side in self._sides for pairs in side.taught.values() for pair in pairs)
        self._taught = frozenset(place for place, _ in taught)
        self._training = TrainingSet(taxonomy, self._known) if self._taught else None
        self._trained: dict[tuple[str, tuple[tuple[int, str], ...]], LinearModels] = {}

    @property
    def size(self) -> int:
        """The number of incidents that the history would have."""
        return len(self._after.held.examples)

    @property
    def _sides(self) -> tuple[_Side, _Side]:
        return self._before, self._after

    def hidden(self, text: str, incident_id: str, seen: Sequence[Example]) -> frozenset[int]:
        """The places that an incident must not learn from; `seen` is what the history lets it learn from now."""
        hidden = set[int]()
        if len(seen) < len(self._examples):
            hidden |= {self._places[e.incident_id] for e in self._examples} - {
                self._places[e.incident_id] for e in seen if e.incident_id in self._places
            }
        if is_near_duplicate(text, self._foreseen.example.text):
            hidden.add(self._corrected)
        if incident_id in self._places:
            hidden.add(self._places[incident_id])
        return frozenset(hidden)

    def references(self, hidden: frozenset[int]) -> tuple[list[Example], list[Example]] | None:
        """The typical incidents for reading definitions, without and with the correction; None if they are the same."""
        if not self._foreseen.changes_members or self._corrected in hidden:
            return None
        unseen = {self._known[place].incident_id for place in hidden}
        first = [e for e in self._in_order[: REFERENCE_INCIDENTS + len(hidden) + 1] if e.incident_id not in unseen]
        without = [example for example in first if example is not self._foreseen.example]
        before, after = (
            (first if labels else without)[:REFERENCE_INCIDENTS]
            for labels in (self._foreseen.before, self._foreseen.after)
        )
        is_among_them = any(example is self._foreseen.example for example in (*before, *after))
        return (before, after) if is_among_them else None

    def evidence_for(
        self,
        incidents: Sequence[RereadIncident],
        hidden: Sequence[frozenset[int]],
        moves: Sequence[Moves | None],
        is_time_left: Callable[[], bool],
    ) -> list[tuple[HistoryEvidence, HistoryEvidence] | None]:
        """For each incident the evidence without and with the correction.

        Incidents that need classifiers of their own come last, and get None if no time is left.
        """
        if not incidents:
            return []
        texts = [incident.text for incident in incidents]
        vectors = np.stack([incident.vector for incident in incidents])
        # The shared classifiers learn from incidents that are hidden from these.
        needs_own = [not places.isdisjoint(self._taught) for places in hidden]
        shared = [self._shared(side, texts, vectors) for side in self._sides]
        evidences: list[tuple[HistoryEvidence, HistoryEvidence] | None] = [None] * len(incidents)
        for place in sorted(range(len(incidents)), key=lambda n: needs_own[n]):
            incident, row = incidents[place], slice(place, place + 1)
            if not needs_own[place]:
                learned = [{facet: results[place] for facet, results in by_facet.items()} for by_facet in shared]
            elif is_time_left():
                learned = [self._own(side, texts[row], vectors[row], hidden[place]) for side in self._sides]
            else:
                continue
            before, after = self._neighbours_of(incident)
            stored_results = _stored_results(incident.triage)
            evidences[place] = (
                HistoryEvidence(before, self._merged(stored_results, learned[0], None)),
                HistoryEvidence(after, self._merged(stored_results, learned[1], moves[place])),
            )
        return evidences

    def _side(self, others: Sequence[Example], labels: Labels, ranking: Ranking) -> _Side:
        mine = self._foreseen.example._replace(labels=labels)
        incidents = [(example.incident_id, example.labels) for example in (*others, mine)]
        held = ExactSearch([*others, mine] if labels else others, ranking)
        return _Side(held, incidents, {facet.id: labelled(facet, incidents) for facet in self._facets})

    def _neighbours_of(self, incident: RereadIncident) -> tuple[list[Neighbour], list[Neighbour]]:
        """Neighbours without and with the correction."""
        incident_id, corrected = incident.incident.id, self._foreseen.example.incident_id
        before = self._before.held.neighbours(incident.text, incident.vector, self._neighbours, {incident_id})
        if self._foreseen.changes_members:
            return before, self._after.held.neighbours(incident.text, incident.vector, self._neighbours, {incident_id})
        # Labels do not change which incidents are found, or their order.
        other = {"labels": self._foreseen.after}
        return before, [n.model_copy(update=other) if n.incident_id == corrected else n for n in before]

    def _shared(self, side: _Side, texts: Sequence[str], vectors: Vectors) -> dict[str, list[Distributions]]:
        """Facet -> the results of the shared classifiers for each incident."""
        return {
            facet.id: trained.predict(texts, vectors)
            for facet in self._facets
            if (trained := self._train(facet, side.taught[facet.id])) is not None
        }

    def _own(
        self, side: _Side, texts: Sequence[str], vectors: Vectors, hidden: frozenset[int]
    ) -> dict[str, Distributions]:
        """Facet -> the results of classifiers trained without the hidden incidents."""
        seen = [(key, {} if place in hidden else labels) for place, (key, labels) in enumerate(side.incidents)]
        return {
            facet.id: trained.predict(texts, vectors)[0]
            for facet in self._facets
            if (trained := self._train(facet, labelled(facet, seen))) is not None
        }

    def _train(self, facet: Facet, taught: Sequence[tuple[int, str]]) -> LinearModels | None:
        if not taught or self._training is None:
            return None
        key = facet.id, tuple(taught)
        if key not in self._trained:
            self._trained[key] = self._training.train(facet, *zip(*taught, strict=True))
        return self._trained[key]

    def _merged(
        self, stored_results: Mapping[str, Distributions], learned: Mapping[str, Distributions], moves: Moves | None
    ) -> dict[str, Distributions]:
        """The stored results, with new classifier results for the affected facets and shifted definitions."""
        affected = {facet.id for facet in self._facets}
        merged: dict[str, Distributions] = {}
        for facet in {*stored_results, *learned}:
            sources = dict(stored_results.get(facet, {}))
            if facet in affected:
                sources = {name: shares for name, shares in sources.items() if name not in LEARNED}
                sources |= learned.get(facet, {})
            if moves is not None and "definitions" in sources:
                sources["definitions"] = moved(sources["definitions"], moves.get(facet, {}))
            merged[facet] = sources
        return merged


def _stored_results(triage: Triage) -> dict[str, Distributions]:
    """The stored results of what was learned: facet -> source -> label -> probability."""
    return {
        facet: {name: dict(result.sources[name]) for name in (*LEARNED, "definitions") if name in result.sources}
        for facet, result in triage.facets.items()
    }
