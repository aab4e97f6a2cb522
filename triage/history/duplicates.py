"""Near-duplicates: texts that tell of the same incident in (almost) the same words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from triage.history.remembered import remembered

SHINGLE_WORDS = 4
THRESHOLD = 0.6


def is_near_duplicate(one: str, other: str) -> bool:
    """True if most of the shorter text's word 4-grams stand in the other one.

    Containment rather than Jaccard similarity (Broder, 'On the resemblance and containment of documents', 1997), so
    that an early, shorter version of a write-up is found too.
    """
    return containment(_shingles(one), _shingles(other)) >= THRESHOLD


def containment(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Share of the smaller set that is in the larger one, 0 to 1; 0 where one is empty."""
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0


@remembered  # every new incident is compared with the same history
def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    if len(words) < SHINGLE_WORDS:
        return frozenset([tuple(words)] if words else [])
    return frozenset(tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1))


class DuplicateFinder:
    """Finds which of many texts are near-duplicates of one, without comparing each: see `is_near_duplicate`."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)
        hashes = [np.fromiter(map(hash, _shingles(text)), dtype=np.int64) for text in self._texts]
        self._sizes = np.array([len(one) for one in hashes], dtype=np.int64)
        every = np.concatenate(hashes) if hashes else np.empty(0, dtype=np.int64)
        order = np.argsort(every, kind="stable")
        self._hashes = every[order]
        self._owners = np.repeat(np.arange(len(hashes)), self._sizes)[order]

    def of(self, text: str) -> list[int]:
        """The places of the near-duplicates of `text`, ascending."""
        mine = np.unique(np.fromiter(map(hash, _shingles(text)), dtype=np.int64))
        first = np.searchsorted(self._hashes, mine, side="left")
        counts = np.searchsorted(self._hashes, mine, side="right") - first
        # All places in which a shingle of `text` stands: runs of the sorted hashes, laid one after another.
        starts = np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(mine) else first, counts)
        shared = np.bincount(self._owners[starts + np.arange(counts.sum())], minlength=len(self._sizes))
        # Two shingles with one hash only add to what is looked at closely.
        likely = np.flatnonzero((shared > 0) & (shared >= THRESHOLD * np.minimum(self._sizes, len(mine)) - 1))
        return [place for place in likely.tolist() if is_near_duplicate(text, self._texts[place])]
