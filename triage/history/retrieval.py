"""The ranking of retrieved incidents: by meaning and words, and optionally by age and by label."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.domain.triage_result import Neighbour
from triage.history.text_cache import cached_by_text

WORD = re.compile(r"[^\W_][\w\-]+")
_K1, _B = 1.2, 0.75

CANDIDATES = 200
"""How many of the closest by embedding are ranked by words too."""


class Ranking(NamedTuple):
    """How candidates are ranked. Chosen on development data with evals/bench/retrieval.py.

    `words` is the weight of BM25; the embedding has weight 1. With `half_life_days` an incident of that age counts half
    as much as one from today.
    """

    words: float = 1.0
    half_life_days: float | None = None


DEFAULT_RANKING = Ranking()


class Candidate(NamedTuple):
    """An incident that may be a neighbour: its cosine similarity, its redacted text and when it began."""

    incident_id: str
    similarity: float
    text: str
    occurred_at: datetime | None = None


def rank(
    text: str,
    candidates: Sequence[tuple[Neighbour, str]],
    ranking: Ranking = DEFAULT_RANKING,
    now: datetime | None = None,
) -> list[Neighbour]:
    """The candidates, each a neighbour with its text, best first; see `order`."""
    compared = [Candidate(n.incident_id, n.similarity, document, n.occurred_at) for n, document in candidates]
    return [candidates[place][0] for place in order(text, compared, ranking, now)]


def order(
    text: str, candidates: Sequence[Candidate], ranking: Ranking = DEFAULT_RANKING, now: datetime | None = None
) -> list[int]:
    """The indices of the candidates, best first.

    Cosine similarity and BM25 are standardised over the candidates and added. Unlike reciprocal ranks, this keeps the
    distances. Ages are relative to `now`.
    """
    if not candidates:
        return []
    similarity = np.array([candidate.similarity for candidate in candidates])
    score = standardised(similarity)
    if ranking.words:
        score = score + ranking.words * standardised(bm25(text, [candidate.text for candidate in candidates]))
    if ranking.half_life_days:
        today = now or datetime.now(UTC)
        began = [candidate.occurred_at for candidate in candidates]
        ages = [max((today - moment).total_seconds() / 86_400, 0) if moment else None for moment in began]
        known = [age for age in ages if age is not None]
        usual = float(np.median(known)) if known else 0.0
        decay = np.array([-(usual if age is None else age) / ranking.half_life_days for age in ages])
        # Subtracting log 2 from the exponent of a vote halves it.
        score = score + decay * math.log(2)
    return sorted(
        range(len(candidates)), key=lambda i: (-score[i], -candidates[i].similarity, candidates[i].incident_id)
    )


def bm25(query: str, documents: Sequence[str]) -> NDArray[np.float64]:
    """The BM25 score of each document for the distinct words of `query`, shape (documents,).

    Robertson and Zaragoza, 'The probabilistic relevance framework: BM25 and beyond', 2009, with k1 = 1.2, b = 0.75.
    Document frequencies are those of `documents`.
    """
    places = {word: place for place, word in enumerate(sorted(_counted(query)[0]))}
    counted = [_counted(document) for document in documents]
    lengths = np.array([length for _, length in counted], dtype=np.float64)
    usual = max(float(lengths.mean()), 1.0) if len(lengths) else 1.0
    found = [
        (places[word], column, counts[word])
        for column, (counts, _) in enumerate(counted)
        for word in places.keys() & counts.keys()
    ]
    frequency = np.zeros((len(places), len(documents)))
    if found:
        rows, columns, counts_found = zip(*found, strict=True)
        frequency[rows, columns] = counts_found
    holding = (frequency > 0).sum(axis=1, keepdims=True)
    rarity = np.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
    scores: NDArray[np.float64] = (
        rarity * frequency * (_K1 + 1) / (frequency + _K1 * (1 - _B + _B * lengths / usual))
    ).sum(axis=0)
    return scores


def diverse(neighbours: Sequence[Neighbour], k: int, facet: str) -> list[Neighbour]:
    """The first `k`, so that each label's best neighbour comes before any label's second.

    Examples of distinct kinds help more than five of one kind (RCACopilot: Chen et al., EuroSys 2024). Otherwise the
    order stays that of `neighbours`.
    """
    rounds: Counter[str] = Counter()
    keyed = []
    for place, neighbour in enumerate(neighbours):
        label = (neighbour.labels.get(facet) or ("",))[0]
        keyed.append((rounds[label], place))
        rounds[label] += 1
    return [neighbours[place] for _, place in sorted(keyed)][:k]


def by_likely_label(
    neighbours: Sequence[Neighbour], facet: str, likely: Mapping[str, float], strength: float = 1.0
) -> list[Neighbour]:
    """The neighbours, with those moved up whose label of `facet` is likely for the new incident.

    They are sorted by `likely` (label -> probability) to the power of `strength`, divided by the rank in `neighbours`.
    """
    floor = 0.01

    def score(place: int, neighbour: Neighbour) -> float:
        labels = neighbour.labels.get(facet, ())
        share = max((likely.get(label, 0.0) for label in labels), default=0.0)
        return strength * math.log(max(share, floor)) - math.log(place + 1)

    order = sorted(range(len(neighbours)), key=lambda place: (-score(place, neighbours[place]), place))
    return [neighbours[place] for place in order]


@cached_by_text  # every new incident is compared with the same history
def _counted(text: str) -> tuple[Counter[str], int]:
    """The count of each word in a text, and of all words."""
    counts = Counter(content_words(text))
    return counts, counts.total()


def content_words(text: str) -> list[str]:
    """The words of a text in lower case, without stop words."""
    return [word for word in WORD.findall(text.casefold()) if word not in _STOP_WORDS]


def standardised(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values scaled to mean 0 and standard deviation 1; all 0 if they are equal."""
    deviation = float(values.std())
    result: NDArray[np.float64] = (values - values.mean()) / deviation if deviation > 0 else np.zeros_like(values)
    return result


_STOP_WORDS = frozenset(  # one string, because a list would take a line a word
    """
    a an and are as at be been but by for from had has have if in into is it its no not of on or our some such than
    that the their then there these they this to was we were which while will with within would
    """.split()  # noqa: SIM905
)
