"""Repeated incidents: groups of near duplicates by words or embeddings, among tens of thousands.

Shared text is counted from an index of word runs, so that not every pair has to be compared.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.insights.study.corpus import Corpus, Record, counted, ids

RUN = 4
"""Words in a run."""
SHARED = 0.6
"""Texts are near duplicates if this share of each is in the other."""

_ROWS = 512
_FREQUENT = 0.05
_BASE = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that no power of it drops a word."""

Places = NDArray[np.int64]


class Alike(Protocol):
    """A relation of similarity between numbered texts."""

    def of(self, place: int) -> Places:
        """The texts similar to this one, without it."""
        ...

    def counts(self) -> Places:
        """The number of similar texts of each text."""
        ...


def groups_of(n: int, kinds: Sequence[Alike]) -> list[list[int]]:
    """Groups of two or more texts, head first: all others are similar to the head in one of the `kinds`.

    The text with the most similar texts takes all of them, then the next among those left. So similarity does not
    chain.
    """
    counts = sum((kind.counts() for kind in kinds), np.zeros(n, dtype=np.int64))
    is_left = counts > 0
    groups = []
    for head in np.argsort(-counts, kind="stable").tolist():
        if not is_left[head]:
            continue
        alike = np.unique(np.concatenate([kind.of(head) for kind in kinds]))
        others = alike[is_left[alike]].tolist()
        if others:
            groups.append([head, *others])
            is_left[[head, *others]] = False
    return groups


class AlikeWords:
    """Texts are similar if most word runs of each are in the other, ignoring numbers.

    A run is weighted by the logarithm of its rarity (K. Sparck Jones, A statistical interpretation of term specificity,
    Journal of Documentation 28, 1972), so runs in every text, such as boilerplate of a status page, count for nothing.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        runs = _runs(texts)
        self._n = len(texts)
        sizes = np.array([len(each) for each in runs], dtype=np.int64)
        every = np.concatenate(runs) if runs else np.empty(0, dtype=np.uint64)
        self._owners = np.repeat(np.arange(self._n), sizes)
        _, kinds, times = np.unique(every, return_inverse=True, return_counts=True)
        # Above 0, so that a corpus of identical texts is one group.
        weight = np.log1p(self._n / times) - math.log(2) + 0.01
        self._all = np.bincount(self._owners, weight[kinds], self._n)
        is_frequent = times > max(64, _FREQUENT * self._n)
        self._frequent = np.bincount(self._owners, weight[kinds] * is_frequent[kinds], self._n)
        self._bits = _bits(kinds, self._owners, is_frequent, self._n)
        self._frequent_weight = weight[is_frequent]
        self._weight = weight
        self._is_frequent = is_frequent
        self._own = np.split(kinds, np.cumsum(sizes)[:-1]) if self._n else []
        self._standing = self._owners[np.argsort(kinds, kind="stable")]
        self._starts = np.concatenate([[0], np.cumsum(times)])

    def of(self, place: int) -> Places:
        rare = self._own[place][~self._is_frequent[self._own[place]]]
        shared = np.zeros(self._n)
        if len(rare):
            standing = [self._standing[self._starts[kind] : self._starts[kind + 1]] for kind in rare]
            weights = np.repeat(self._weight[rare], [len(each) for each in standing])
            shared += np.bincount(np.concatenate(standing), weights, self._n)
        # Sums in another order differ in their last bits.
        required = SHARED * np.maximum(self._all, self._all[place]) - 1e-9
        # Frequent runs are compared only if they could decide.
        most = shared + np.minimum(self._frequent, self._frequent[place])
        is_likely = (most >= required) & (self._all > 0)
        is_likely[place] = False
        likely = np.flatnonzero(is_likely)
        if not len(likely):
            return likely
        both = np.unpackbits(self._bits[likely] & self._bits[place], axis=1, count=len(self._frequent_weight))
        matches: Places = likely[shared[likely] + both @ self._frequent_weight >= required[likely]]
        return matches

    def counts(self) -> Places:
        return np.array([len(self.of(place)) for place in range(self._n)], dtype=np.int64)


class AlikeMeaning:
    """Texts are similar if their vectors have at least this cosine. `vectors` are unit vectors of the `places` of
    `n`."""

    def __init__(self, n: int, places: Sequence[int], vectors: NDArray[np.float32], similarity: float) -> None:
        self._n = n
        self._places = np.asarray(places, dtype=np.int64)
        self._vectors = vectors
        self._similarity = similarity
        self._rows = dict(zip(self._places.tolist(), range(len(vectors)), strict=True))

    def of(self, place: int) -> Places:
        row = self._rows.get(place)
        if row is None:
            return np.empty(0, dtype=np.int64)
        alike: Places = self._places[self._vectors @ self._vectors[row] >= self._similarity]
        others: Places = alike[alike != place]
        return others

    def counts(self) -> Places:
        counts = np.zeros(self._n, dtype=np.int64)
        for start in range(0, len(self._vectors), _ROWS):
            alike = self._vectors[start : start + _ROWS] @ self._vectors.T >= self._similarity
            counts[self._places[start : start + _ROWS]] = np.maximum(alike.sum(axis=1) - 1, 0)
        return counts


def lowest_similarity(vectors: NDArray[np.float32]) -> float:
    """The smallest cosine of any two of these unit vectors."""
    starts = range(0, len(vectors), _ROWS)
    return min(float((vectors[start : start + _ROWS] @ vectors.T).min()) for start in starts)


def _runs(texts: Sequence[str]) -> list[NDArray[np.uint64]]:
    """A number for each distinct word run of each text; a shorter text is one run. All numbers count as one word."""
    known: dict[str, int] = {}
    all_runs = []
    for text in texts:
        read = re.findall(r"\w+", re.sub(r"\d+", "0", text.casefold()))
        words = [known.setdefault(word, len(known) + 1) for word in read]
        padded = [0] * (RUN - len(words)) + words if words else []
        numbers = np.array(padded, dtype=np.uint64)
        runs = np.zeros(max(0, len(numbers) - RUN + 1), dtype=np.uint64)
        for offset in range(RUN):
            runs = runs * _BASE + numbers[offset : offset + len(runs)]
        all_runs.append(np.unique(runs))
    return all_runs


def _bits(kinds: Places, owners: Places, is_frequent: NDArray[np.bool_], n: int) -> NDArray[np.uint8]:
    """A row of bits per text: which of the frequent runs it has."""
    column = np.cumsum(is_frequent) - 1
    bits = np.zeros((n, -(-int(is_frequent.sum()) // 8)), dtype=np.uint8)
    frequent = is_frequent[kinds]
    at = column[kinds[frequent]]
    np.bitwise_or.at(bits, (owners[frequent], at // 8), (0x80 >> (at % 8)).astype(np.uint8))
    return bits


SIMILARITY = 0.85


class Repeat(BaseModel, frozen=True):
    """`n` near duplicates of `head`, in order of their start; `title` is the head's.

    `labels` are those of the majority; `lowest_similarity` is the smallest cosine of any two.
    """

    n: int
    head: str
    title: str
    labels: dict[str, str]
    first: str | None
    last: str | None
    lowest_similarity: float | None
    incident_ids: tuple[str, ...]


class Repeats(BaseModel, frozen=True):
    """The groups, largest first, and how many of the `n` incidents are in one.

    `similarity` is the required cosine; None if only words were compared. `n_compared_by_meaning` counts incidents with
    an embedding.
    """

    similarity: float | None
    n: int
    n_compared_by_meaning: int
    n_groups: int
    n_repeated: int
    groups: tuple[Repeat, ...]


def find_repeats(
    corpus: Corpus, vectors: Mapping[str, NDArray[np.float32]] | None = None, similarity: float = SIMILARITY
) -> Repeats:
    """Groups of incidents whose words are near duplicates, or whose embeddings have at least this `similarity`.

    `vectors` are embeddings (incident id -> unit vector); incidents without one are compared by words only.
    """
    records, kinds = corpus.records, list[Alike]()
    kinds.append(AlikeWords([record.incident.text for record in records]))
    known = [place for place, record in enumerate(records) if record.id in (vectors or {})]
    if vectors and known:
        stacked = np.stack([vectors[records[place].id] for place in known])
        kinds.append(AlikeMeaning(len(records), known, stacked, similarity))
    groups = groups_of(len(records), kinds)
    repeats = [_repeat(corpus, [records[place] for place in group], vectors or {}) for group in groups]
    return Repeats(
        similarity=similarity if known else None,
        n=len(records),
        n_compared_by_meaning=len(known),
        n_groups=len(repeats),
        n_repeated=sum(group.n for group in repeats),
        groups=tuple(sorted(repeats, key=lambda group: (-group.n, group.incident_ids))),
    )


def _repeat(corpus: Corpus, group: Sequence[Record], vectors: Mapping[str, NDArray[np.float32]]) -> Repeat:
    ordered = sorted(group, key=lambda record: (_day(record) or "", record.id))
    days = [day for record in ordered if (day := _day(record))]
    labels: dict[str, str] = {}
    for facet in corpus.taxonomy.facets:
        given = Counter(label for record in ordered for label in counted(facet, record.labels))
        for label, times in given.most_common(1):
            if times * 2 > len(ordered):
                labels[facet.id] = label
    known = [vectors[record.id] for record in ordered if record.id in vectors]
    return Repeat(
        n=len(ordered),
        head=group[0].id,
        title=group[0].incident.title,
        labels=labels,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        lowest_similarity=lowest_similarity(np.stack(known)) if len(known) > 1 else None,
        incident_ids=ids(ordered),
    )


def _day(record: Record) -> str | None:
    started = record.incident.started_at
    return None if started is None else started.date().isoformat()
