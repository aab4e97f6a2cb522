"""Exact search among examples in memory, to preview another history than the stored one."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from triage.domain.triage_result import Neighbour
from triage.history import Example
from triage.history.entries import as_neighbour
from triage.history.retrieval import CANDIDATES, DEFAULT_RANKING, Candidate, Ranking, order
from triage.models.embedding import Vectors, normalise


class ExactSearch:
    """Finds the neighbours that an index of these examples would find, by comparing with every vector."""

    def __init__(self, examples: Sequence[Example], ranking: Ranking = DEFAULT_RANKING) -> None:
        self.examples = tuple(examples)
        self._ranking = ranking
        self._vectors = normalise(np.stack([example.vector for example in self.examples])) if self.examples else None

    def neighbours(self, text: str, vector: Vectors, k: int, exclude: Collection[str] = ()) -> list[Neighbour]:
        """The `k` most similar incidents without the ids in `exclude`, best first; see `History.neighbours`."""
        if self._vectors is None or k < 1:
            return []
        similarity = self._vectors @ normalise(np.asarray(vector, dtype=np.float32))
        nearest = [
            place
            for place in np.argsort(-similarity, kind="stable").tolist()
            if self.examples[place].incident_id not in exclude
        ][: max(k + 8, CANDIDATES) + len(exclude)]
        candidates = [
            Candidate(e.incident_id, float(similarity[place]), e.text, e.occurred_at)
            for place in nearest
            for e in (self.examples[place],)
        ]
        best = order(text, candidates, self._ranking)[:k]
        return [as_neighbour(self.examples[nearest[n]], candidates[n].similarity, text) for n in best]
