"""Whether a share differs between two groups by more than chance explains."""

from __future__ import annotations

from math import lgamma

import numpy as np


def fisher(hits: int, n: int, other_hits: int, other_n: int) -> float:
    """The two-sided p-value of Fisher's exact test of `hits` of `n` against `other_hits` of `other_n`.

    With the sums given, all tables at most as likely as the one seen are counted. Source: R. A. Fisher, Statistical
    methods for research workers, 5th ed. (1934), section 21.02.

    >>> round(fisher(3, 4, 1, 4), 4)
    0.4857
    """
    total = hits + other_hits
    least, most = max(0, total - other_n), min(n, total)
    logs = np.array([_ways(n, one) + _ways(other_n, total - one) for one in range(least, most + 1)])
    chances = np.exp(logs - _ways(n + other_n, total))
    # Tables that are equally likely differ in their last bits.
    as_rare = chances <= chances[hits - least] * (1 + 1e-7)
    return float(min(1.0, chances[as_rare].sum()))


def _ways(n: int, k: int) -> float:
    """The logarithm of the number of ways to choose `k` of `n`."""
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
