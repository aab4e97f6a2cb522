"""Bootstrap intervals of statistics that are computed from counts of kinds of incidents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray

from triage.agreement.interval import CONFIDENCE, RESAMPLES, Interval, Method

Floats = NDArray[np.float64]

Statistic = Callable[[Floats], Floats]
"""From counts, shape (draws, kinds), to the statistic of each draw, NaN where it is undefined.

Incidents with the same labels from everyone are of one kind, so drawing incidents with replacement is one multinomial
draw over the kinds."""

METHOD: Method = "bca"
"""BCa covers better than percentiles where incidents are few or agreement is high: see docs/agreement.md."""


class Resampling(TypedDict, total=False):
    """How intervals are made: `bootstrap` has the defaults. `resamples=0` leaves them out."""

    method: Method
    resamples: int
    confidence: float
    seed: int


_CELLS_AT_A_TIME = 4_000_000
_STEP = 1e-5


def bootstrap(
    statistic: Statistic,
    times: NDArray[Any],
    *,
    chance_disagreement: float | None = None,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Interval | None:
    """The interval of `statistic`, where `times` counts the incidents of each kind: positive, possibly fractional.

    With `chance_disagreement`, for incidents that nobody disagreed on, it is `Interval.of_unseen`. None with
    `resamples=0`, for fewer than two incidents, and where the statistic is undefined.
    """
    n = round(float(times.sum()))
    if not resamples or n < 2:
        return None
    if chance_disagreement is not None:
        return Interval.of_unseen(n, chance_disagreement, confidence)
    shares = times / times.sum()
    drawn = _resampled(statistic, shares, n, resamples, seed)
    if method == "percentile":
        return Interval.of(drawn, confidence)
    value = float(statistic(shares[None, :] * n)[0])
    if np.isnan(value):
        return None
    return Interval.of_bca(drawn, value, _influence(statistic, shares * n, value), shares * n, confidence)


def _resampled(statistic: Statistic, shares: Floats, n: int, resamples: int, seed: int) -> Floats:
    """The statistic of each of `resamples` draws of `n` incidents."""
    rng = np.random.default_rng(seed)
    portion = max(1, _CELLS_AT_A_TIME // shares.size)
    sizes = [min(portion, resamples - start) for start in range(0, resamples, portion)]
    return np.concatenate([statistic(rng.multinomial(n, shares, size=size).astype(np.float64)) for size in sizes])


def _influence(statistic: Statistic, times: Floats, value: float) -> Floats:
    """How fast the statistic moves when one kind grows at the cost of all others."""
    portion = max(1, _CELLS_AT_A_TIME // times.size)
    parts = []
    for start in range(0, times.size, portion):
        kinds = np.arange(start, min(start + portion, times.size))
        grown = np.repeat(times[None, :] * (1 - _STEP), kinds.size, axis=0)
        grown[np.arange(kinds.size), kinds] += _STEP * times.sum()
        parts.append((statistic(grown) - value) / _STEP)
    return np.concatenate(parts)


def quotient(numerator: Floats, denominator: Floats) -> Floats:
    """`numerator / denominator`, NaN where the denominator is 0 but for rounding."""
    defined = np.abs(denominator) > 1e-12
    found: Floats = np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=defined)
    return found
