"""Texts that are nearly the same, by their words or by their embeddings, among tens of thousands.

What two texts share is counted from where each run of words stands, so that no pair has to be looked at for itself.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

RUN = 4
"""Words in a run."""
SHARED = 0.6
"""Texts are nearly the same where so much of each of the two stands in the other."""

_ROWS = 512
_FREQUENT = 0.05
_BASE = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that none of its powers loses a word."""

Places = NDArray[np.int64]


class Alike(Protocol):
    """Which of many places are alike."""

    def of(self, place: int) -> Places:
        """The places that are alike to this one, without it."""
        ...

    def counts(self) -> Places:
        """How many places are alike to each one."""
        ...


def groups_of(n: int, kinds: Sequence[Alike]) -> list[list[int]]:
    """Groups of two or more places, each with its head first: all others are alike to it in one of the `kinds`.

    The place with the most others begins, with all of them; then the next among those that are left. So nobody is in a
    group for being alike to one who is alike to the head, as happens where links chain.
    """
    counts = sum((kind.counts() for kind in kinds), np.zeros(n, dtype=np.int64))
    is_left = counts > 0
    found = []
    for head in np.argsort(-counts, kind="stable").tolist():
        if not is_left[head]:
            continue
        alike = np.unique(np.concatenate([kind.of(head) for kind in kinds]))
        others = alike[is_left[alike]].tolist()
        if others:
            found.append([head, *others])
            is_left[[head, *others]] = False
    return found


class AlikeWords:
    """Alike are texts of which most of each one's runs of words stand in the other, numbers aside.

    A run counts by the logarithm of how rare it is (K. Sparck Jones, A statistical interpretation of term specificity,
    Journal of Documentation 28, 1972): what stands in every text, such as the closing words of a status page, tells
    nothing.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        runs = _runs(texts)
        self._n = len(texts)
        sizes = np.array([len(each) for each in runs], dtype=np.int64)
        every = np.concatenate(runs) if runs else np.empty(0, dtype=np.uint64)
        self._owners = np.repeat(np.arange(self._n), sizes)
        _, kinds, times = np.unique(every, return_inverse=True, return_counts=True)
        # At least a little, so that a corpus of one text many times is one group.
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
        # As good as enough is enough: sums in another order differ in their last bits.
        wanted = SHARED * np.maximum(self._all, self._all[place]) - 1e-9
        # Runs that stand in many texts are looked at only where they could decide.
        most = shared + np.minimum(self._frequent, self._frequent[place])
        is_likely = (most >= wanted) & (self._all > 0)
        is_likely[place] = False
        likely = np.flatnonzero(is_likely)
        if not len(likely):
            return likely
        both = np.unpackbits(self._bits[likely] & self._bits[place], axis=1, count=len(self._frequent_weight))
        found: Places = likely[shared[likely] + both @ self._frequent_weight >= wanted[likely]]
        return found

    def counts(self) -> Places:
        return np.array([len(self.of(place)) for place in range(self._n)], dtype=np.int64)


class AlikeMeaning:
    """Alike are places whose vectors have at least this cosine. `vectors` are unit vectors of the `places` of `n`."""

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
    """A number for each different run of words in each text; a shorter text is one run. All numbers are one word."""
    known: dict[str, int] = {}
    found = []
    for text in texts:
        read = re.findall(r"\w+", re.sub(r"\d+", "0", text.casefold()))
        words = [known.setdefault(word, len(known) + 1) for word in read]
        padded = [0] * (RUN - len(words)) + words if words else []
        numbers = np.array(padded, dtype=np.uint64)
        runs = np.zeros(max(0, len(numbers) - RUN + 1), dtype=np.uint64)
        for offset in range(RUN):
            runs = runs * _BASE + numbers[offset : offset + len(runs)]
        found.append(np.unique(runs))
    return found


def _bits(kinds: Places, owners: Places, is_frequent: NDArray[np.bool_], n: int) -> NDArray[np.uint8]:
    """A row of bits for each text: which of the frequent kinds stand in it."""
    column = np.cumsum(is_frequent) - 1
    bits = np.zeros((n, -(-int(is_frequent.sum()) // 8)), dtype=np.uint8)
    frequent = is_frequent[kinds]
    at = column[kinds[frequent]]
    np.bitwise_or.at(bits, (owners[frequent], at // 8), (0x80 >> (at % 8)).astype(np.uint8))
    return bits
