"""Bootstrap intervals: percentile, BCa, and one for statistics that no resample changes.

`bootstrap` makes those of statistics that are computed from counts of kinds of incidents.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist
from typing import Any, Literal, Self, TypedDict

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

RESAMPLES = 2000
CONFIDENCE = 0.95

Method = Literal["percentile", "bca"]
METHOD: Method = "bca"
"""BCa covers better than percentiles where incidents are few or agreement is high: see docs/agreement.md."""

Floats = NDArray[np.float64]

Statistic = Callable[[Floats], Floats]
"""From counts, shape (draws, kinds), to the statistic of each draw, NaN where it is undefined.

Incidents with the same labels from everyone are of one kind, so drawing incidents with replacement is one multinomial
draw over the kinds."""

_NORMAL = NormalDist()
_TIE = 1e-12
_CELLS_AT_A_TIME = 4_000_000
_STEP = 1e-5


class Resampling(TypedDict, total=False):
    """How intervals are made: `bootstrap` has the defaults. `resamples=0` leaves them out."""

    method: Method
    resamples: int
    confidence: float
    seed: int


class Interval(BaseModel, frozen=True):
    """A confidence interval, by one of these methods:

    - `percentile`: quantiles of the bootstrap statistics (Efron & Tibshirani, An Introduction to the Bootstrap, 1993,
      chapter 13);
    - `bca`: the same with quantiles corrected for bias and skewness (B. Efron, Better bootstrap confidence intervals,
      Journal of the American Statistical Association 82, 1987), the acceleration from the infinitesimal jackknife;
    - `unseen`: nobody disagreed on any incident, so resamples can't vary; see `of_unseen`.

    `undefined_resamples` counts the resamples that are left out because the statistic is undefined in them.
    """

    low: float
    high: float
    confidence: float = Field(default=CONFIDENCE, gt=0, lt=1)
    resamples: int = Field(ge=0)
    undefined_resamples: int = Field(default=0, ge=0)
    method: Method | Literal["unseen"] = "percentile"

    @classmethod
    def of(cls, statistics: NDArray[np.float64], confidence: float = CONFIDENCE) -> Self | None:
        """The percentile interval of bootstrap statistics, NaN where undefined; None if all are undefined."""
        tail = (1 - confidence) / 2
        return cls._between(statistics, tail, 1 - tail, confidence, "percentile")

    @classmethod
    def of_bca(
        cls,
        statistics: NDArray[np.float64],
        value: float,
        influence: NDArray[np.float64],
        weights: NDArray[np.float64],
        confidence: float = CONFIDENCE,
    ) -> Self | None:
        """The BCa interval. `value` is the statistic of the sample and `influence` how each kind of incident moves it.

        `weights` holds the number of incidents of each kind. If all resamples lie on one side of `value`, the bias
        can't be estimated and the interval is the percentile one.
        """
        defined = statistics[~np.isnan(statistics)]
        if not defined.size:
            return None
        # Resamples that equal the value count half, so that statistics with few distinct values are not biased.
        below = np.mean(defined < value - _TIE) + np.mean(np.abs(defined - value) <= _TIE) / 2
        if not 0 < below < 1:
            return cls.of(statistics, confidence)
        bias, acceleration = _NORMAL.inv_cdf(float(below)), _acceleration(influence, weights)
        tail = (1 - confidence) / 2
        low, high = (_corrected(bias, acceleration, _NORMAL.inv_cdf(p)) for p in (tail, 1 - tail))
        return cls._between(statistics, low, high, confidence, "bca")

    @classmethod
    def of_unseen(cls, n: int, chance_disagreement: float, confidence: float = CONFIDENCE) -> Self:
        """The interval of an agreement of 1 on `n` incidents, where every resample is 1 too.

        A share of up to 1 - (tail)^(1/n) of disagreements may not show in `n` incidents (C. J. Clopper & E. S. Pearson,
        Biometrika 26, 1934). The lower end is 1 minus the ratio of that share to `chance_disagreement`, the share of
        incidents on which chance alone would disagree.
        """
        unseen = 1 - math.pow((1 - confidence) / 2, 1 / n)
        low = max(-1.0, 1 - unseen / chance_disagreement)
        return cls(low=low, high=1.0, confidence=confidence, resamples=0, method="unseen")

    @classmethod
    def _between(
        cls, statistics: NDArray[np.float64], low: float, high: float, confidence: float, method: Method
    ) -> Self | None:
        defined = statistics[~np.isnan(statistics)]
        if not defined.size:
            return None
        ends = np.quantile(defined, [low, high]).tolist()
        return cls(
            low=ends[0],
            high=ends[1],
            confidence=confidence,
            resamples=statistics.size,
            undefined_resamples=statistics.size - defined.size,
            method=method,
        )

    def __str__(self) -> str:
        return f"[{self.low:.2f}, {self.high:.2f}]"

    def explain(self) -> str:
        """The interval and its method, in words."""
        how = {
            "percentile": f"percentile bootstrap, {self.resamples:,} resamples",
            "bca": f"BCa bootstrap, {self.resamples:,} resamples",
            "unseen": "no disagreement was seen: the lower end allows for some that so few incidents would not show",
        }
        return f"{self.confidence:.0%} interval {self} ({how[self.method]})"


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


def shown(value: float | None, interval: Interval | None, undefined: str | None) -> str:
    """A figure with its interval, or why it is undefined."""
    if value is None:
        return f"undefined ({undefined})"
    return f"{value:.2f} {interval}" if interval else f"{value:.2f}"


def _acceleration(influence: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """A sixth of the skewness of the influences; 0 if they don't vary."""
    known = ~np.isnan(influence)
    moves, times = influence[known], weights[known]
    squares = float(times @ moves**2)
    return float(times @ moves**3) / (6 * squares**1.5) if squares > _TIE**2 else 0.0


def _corrected(bias: float, acceleration: float, z: float) -> float:
    """The corrected probability of the normal quantile `z`."""
    room = 1 - acceleration * (bias + z)
    if room <= 0:
        return float(z > 0)
    return _NORMAL.cdf(bias + (bias + z) / room)
