"""Near-duplicates: texts that tell of the same incident in (almost) the same words."""

from __future__ import annotations

import re
from functools import lru_cache

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


@lru_cache(maxsize=8_192)  # every new incident is compared with the same history
def _shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"\w+", text.casefold())
    if len(words) < SHINGLE_WORDS:
        return frozenset([tuple(words)] if words else [])
    return frozenset(tuple(words[i : i + SHINGLE_WORDS]) for i in range(len(words) - SHINGLE_WORDS + 1))
