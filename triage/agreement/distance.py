"""Distances of labels and of sets of labels, from 0 (equal) to 1."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

import numpy as np

from triage.agreement.interval import Floats

Weights = Literal["linear", "quadratic"]
SetDistance = Literal["masi", "jaccard"]


def disagreement(size: int, weights: Weights | None = None) -> Floats:
    """The weight of each disagreement of two of `size` labels, shape (size, size): 1, or by distance on a scale.

    Sources: D. V. Cicchetti & T. Allison, American Journal of EEG Technology 11 (1971) for `linear`; J. L. Fleiss &
    J. Cohen, Educational and Psychological Measurement 33 (1973) for `quadratic`.
    """
    if weights is None:
        return 1 - np.eye(size)
    places = np.arange(size) / max(1, size - 1)
    apart = np.abs(places[:, None] - places[None, :])
    return apart if weights == "linear" else apart**2


def jaccard_distance(a: Collection[str], b: Collection[str]) -> float:
    """1 - |A and B| / |A or B|; 0 for two empty sets.

    >>> jaccard_distance({"a"}, {"a", "b"})
    0.5
    """
    first, second = set(a), set(b)
    return 1 - len(first & second) / len(first | second) if first | second else 0.0


def masi_distance(a: Collection[str], b: Collection[str]) -> float:
    """1 less the Jaccard index times 1, 2/3, 1/3 or 0 for equal, nested, overlapping or disjoint sets.

    Source: R. Passonneau, Measuring agreement on set-valued items (MASI) for semantic and pragmatic annotation, LREC
    2006.

    >>> round(masi_distance({"a"}, {"a", "b"}), 3)
    0.667
    """
    first, second = set(a), set(b)
    if first == second:
        return 0.0
    nested = first <= second or second <= first
    return 1 - (1 - jaccard_distance(first, second)) * (2 if nested else 1) / 3


def set_distances(sets: Sequence[Collection[str]], distance: SetDistance) -> Floats:
    """The distances between all `sets`, shape (sets, sets)."""
    apart = masi_distance if distance == "masi" else jaccard_distance
    found = np.zeros((len(sets), len(sets)))
    for i, one in enumerate(sets):
        for j in range(i):
            found[i, j] = found[j, i] = apart(one, sets[j])
    return found
