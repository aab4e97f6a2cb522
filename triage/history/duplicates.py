"""Near-duplicates: texts about the same incident in almost the same words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from triage.history.text_cache import cached_by_text

SHINGLE_WORDS = 4
THRESHOLD = 0.6


def is_near_duplicate(one: str, other: str) -> bool:
    """True if most word 4-grams of the shorter text are in the other one.

    This is containment (Broder, 'On the resemblance and containment of documents', 1997). Unlike Jaccard similarity it
    also finds an early, shorter version of a write-up.
    """
    return containment(_shingles(one), _shingles(other)) >= THRESHOLD


def containment(one: frozenset[tuple[str, ...]], other: frozenset[tuple[str, ...]]) -> float:
    """Share of the smaller set that is in the larger one, 0 to 1; 0 if one is empty."""
    smaller = min(len(one), len(other))
    return len(one & other) / smaller if smaller else 0.0


@cached_by_text  # every new incident is compared with the same history
def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    if len(words) < SHINGLE_WORDS:
        return frozenset([tuple(words)] if words else [])
    return frozenset(tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1))


class DuplicateFinder:
    """Finds the near-duplicates of a text among many, without comparing each; see `is_near_duplicate`."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = tuple(texts)
        hashes = [np.fromiter(map(hash, _shingles(text)), dtype=np.int64) for text in self._texts]
        self._sizes = np.array([len(one) for one in hashes], dtype=np.int64)
        every = np.concatenate(hashes) if hashes else np.empty(0, dtype=np.int64)
        order = np.argsort(every, kind="stable")
        self._hashes = every[order]
        self._owners = np.repeat(np.arange(len(hashes)), self._sizes)[order]

    def of(self, text: str) -> list[int]:
        """The indices of the near-duplicates of `text`, ascending."""
        mine = np.unique(np.fromiter(map(hash, _shingles(text)), dtype=np.int64))
        first = np.searchsorted(self._hashes, mine, side="left")
        counts = np.searchsorted(self._hashes, mine, side="right") - first
        # All positions of shingles of `text`: runs in the sorted hashes, concatenated.
        starts = np.repeat(first - np.concatenate([[0], np.cumsum(counts)[:-1]]) if len(mine) else first, counts)
        shared = np.bincount(self._owners[starts + np.arange(counts.sum())], minlength=len(self._sizes))
        # A hash collision only adds a candidate for the exact comparison.
        likely = np.flatnonzero((shared > 0) & (shared >= THRESHOLD * np.minimum(self._sizes, len(mine)) - 1))
        return [place for place in likely.tolist() if is_near_duplicate(text, self._texts[place])]
