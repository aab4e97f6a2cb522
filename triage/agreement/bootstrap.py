"""Resampling incidents: any statistic that can be read off counts of kinds of incidents gets its interval here."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from triage.agreement.interval import CONFIDENCE, RESAMPLES, Interval, Method

Floats = NDArray[np.float64]

Statistic = Callable[[Floats], Floats]
"""From counts, shape (draws, kinds), to the statistic of each draw, NaN where it does not exist.

Incidents that were labelled in the same way by everyone are of one kind, so drawing incidents with replacement is one
multinomial draw over the kinds."""

METHOD: Method = "bca"
"""BCa covers better than percentiles where incidents are few or agreement is high: see evals/bench/coverage.py."""

_CELLS_AT_A_TIME = 4_000_000


def bootstrap(
    statistic: Statistic,
    times: NDArray[np.int64],
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval | None:
    """The interval of `statistic`, where `times` counts the incidents of each kind (none of them 0).

    None with `resamples=0`, for fewer than two incidents, and where the statistic does not exist.
    """
    n = int(times.sum())
    if not resamples or n < 2:
        return None
    drawn = resampled(statistic, times, resamples=resamples, seed=seed)
    if method == "percentile":
        return Interval.of(drawn, confidence)
    value = float(statistic(times[None, :].astype(np.float64))[0])
    if np.isnan(value):
        return None
    return Interval.of_bca(drawn, value, _without_one(statistic, times), times, confidence)


def resampled(statistic: Statistic, times: NDArray[np.int64], *, resamples: int, seed: int) -> Floats:
    """The statistic of each of `resamples` resamples of the incidents."""
    n = int(times.sum())
    rng = np.random.default_rng(seed)
    portion = max(1, _CELLS_AT_A_TIME // times.size)
    sizes = [min(portion, resamples - start) for start in range(0, resamples, portion)]
    return np.concatenate([statistic(rng.multinomial(n, times / n, size=size).astype(np.float64)) for size in sizes])


def _without_one(statistic: Statistic, times: NDArray[np.int64]) -> Floats:
    """The statistic without one incident of each kind."""
    portion = max(1, _CELLS_AT_A_TIME // times.size)
    parts = []
    for start in range(0, times.size, portion):
        kinds = np.arange(start, min(start + portion, times.size))
        counts = np.repeat(times[None, :].astype(np.float64), kinds.size, axis=0)
        counts[np.arange(kinds.size), kinds] -= 1
        parts.append(statistic(counts))
    return np.concatenate(parts)


def quotient(numerator: Floats, denominator: Floats) -> Floats:
    """`numerator / denominator`, NaN where the denominator is 0 but for rounding."""
    defined = np.abs(denominator) > 1e-12
    found: Floats = np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=defined)
    return found
