"""Change points of a monthly series: their number, places and certainty. Pure functions on counts.

The best places of k changes have the largest likelihood, found by dynamic programming. A permutation test of the months
in each segment decides about one more change. Tests stop at the first failure, so a false change is reported about as
often as `level`: see docs/decisions/0007.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

SHORTEST = 3
"""The fewest months between two changes."""
FEWEST = 20
"""The fewest hits for a search."""
DRAWS = 9_999
"""The most permutations; fewer are drawn if they are conclusive."""

_EXCEEDING = 20
_LEAST_DRAWS = 999
_BATCH = 250
_MASS = 0.95

Kind = Literal["rate", "share"]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
_Score = Callable[[Counts, Counts], Floats]


class Series(NamedTuple):
    """Counts per month and their weights: days for a `rate`, incidents for a `share`."""

    hits: Counts
    weights: Counts
    kind: Kind

    def part(self, start: int, end: int) -> Series:
        """The months from `start` to before `end`."""
        return Series(self.hits[start:end], self.weights[start:end], self.kind)

    @property
    def cumulated(self) -> tuple[Counts, Counts]:
        """Sums of hits and weights before each month, starting with 0."""
        hits, weights = _cumulated(self.hits[None, :], self.weights[None, :])
        return hits[0], weights[0]

    @property
    def is_testable(self) -> bool:
        """True if there are enough months and their counts could differ."""
        hits = int(self.hits.sum())
        most = hits if self.kind == "rate" else int(self.weights.sum())
        return len(self.hits) >= 2 * SHORTEST and hits > 0 and (self.kind == "rate" or hits < most)


class Place(NamedTuple):
    """A change in the month `at`; `earliest` to `latest` has 95% of its likelihood."""

    at: int
    earliest: int
    latest: int


class Changes(NamedTuple):
    """The changes in a series; `p` is for any change at all."""

    places: tuple[Place, ...]
    p: float


class _Test(NamedTuple):
    p: float
    more: int


def find_changes(series: Series, *, level: float = 0.05, draws: int = DRAWS, seed: int = 0) -> Changes | None:
    """All changes that are significant at this level; None if there is too little data."""
    if not series.is_testable or series.hits.sum() < FEWEST:
        return None
    fits = _Fits(series)
    known: dict[tuple[int, int], _Test] = {}
    inner: tuple[int, ...] = ()
    segments = [(0, len(series.hits))]
    while segments:
        for segment in segments:
            if segment not in known:
                known[segment] = _test(series.part(*segment), level, draws, np.random.default_rng([seed, *segment]))
        best = min((known[segment] for segment in segments), key=lambda test: test.p)
        # Z. Sidak, Rectangular confidence regions for the means of multivariate normal distributions, JASA 62 (1967).
        if 1 - (1 - best.p) ** len(segments) > level:
            break
        inner = fits.best(len(inner) + best.more)
        ends = itertools.pairwise((0, *inner, len(series.hits)))
        segments = [segment for segment in ends if series.part(*segment).is_testable]
    return Changes(tuple(_places(series, inner)), known[0, len(series.hits)].p)


class _Fits:
    """The best places of any number of changes: I. E. Auger & C. E. Lawrence, Algorithms for the optimal identification
    of segment neighborhoods, Bulletin of Mathematical Biology 51 (1989)."""

    def __init__(self, series: Series) -> None:
        n = len(series.hits)
        hits, weights = series.cumulated
        score = _score_of(series)
        start, end = np.indices((n + 1, n + 1))
        allowed = end - start >= SHORTEST
        self._gain = np.full((n + 1, n + 1), -np.inf)
        self._gain[allowed] = score(
            (hits[None, :] - hits[:, None])[allowed], (weights[None, :] - weights[:, None])[allowed]
        )
        self._best = [self._gain[0]]
        self._from: list[NDArray[np.int64]] = []

    def best(self, changes: int) -> tuple[int, ...]:
        """The months in which the changes begin. There must be room for them."""
        while len(self._best) <= changes:
            through = self._best[-1][:, None] + self._gain
            self._from.append(through.argmax(axis=0))
            self._best.append(through.max(axis=0))
        at = len(self._gain) - 1
        places = [at := int(self._from[number][at]) for number in reversed(range(changes))]
        return tuple(reversed(places))


def _test(series: Series, level: float, draws: int, random: np.random.Generator) -> _Test:
    """The p-value of the series, and how many changes (one or two) it suggests.

    The months are permuted, which is also valid for incidents in bursts. Months with few and many incidents are not
    exchangeable for shares, so shares must pass a second test that redistributes the hits among the incidents.
    """
    tests = [_tested(series, level, draws, lambda size: _in_random_order(series, size, random))]
    if series.kind == "share" and tests[0].p <= level:
        tests.append(_tested(series, level, draws, lambda size: _redistributed(series, size, random)))
    return max(tests, key=lambda test: test.p)


def _tested(series: Series, level: float, draws: int, draw: Callable[[int], tuple[Counts, Counts]]) -> _Test:
    """The p-value of the likelihood gain of one change, or of two minus the cost of the second (which finds a temporary
    rise), and whether one is enough.

    Draws stop early for large p-values: J. Besag & P. Clifford, Sequential Monte Carlo p-values, Biometrika 78 (1991).
    """
    score = _score_of(series)
    ones, twos = _gains(*_cumulated(series.hits[None, :], series.weights[None, :]), score)
    one, most = float(ones[0]), float(max(ones[0], twos[0]))
    # Sums in another order differ in their last bits.
    slack = 1e-9 * max(1.0, abs(most))
    # At the level itself about twenty draws exceed the observed gain.
    draws = min(draws, max(_LEAST_DRAWS, math.ceil(_EXCEEDING / level)))
    drawn = exceeding = of_one = 0
    p = 1.0
    while drawn < draws and exceeding < _EXCEEDING:
        size = min(_BATCH, draws - drawn)
        largest = np.maximum(*_gains(*_cumulated(*draw(size)), score))
        reached = np.flatnonzero(largest >= most - slack)
        left = _EXCEEDING - exceeding
        p = _EXCEEDING / (drawn + int(reached[left - 1]) + 1) if len(reached) >= left else p
        of_one += int((largest >= one - slack).sum())
        exceeding += len(reached)
        drawn += size
    if exceeding < _EXCEEDING:
        p = (1 + exceeding) / (1 + drawn)
    return _Test(p, 1 if one >= most or (1 + of_one) / (1 + drawn) <= level else 2)


def _in_random_order(series: Series, size: int, random: np.random.Generator) -> tuple[Counts, Counts]:
    orders = random.permuted(np.tile(np.arange(len(series.hits)), (size, 1)), axis=1)
    return series.hits[orders], series.weights[orders]


def _redistributed(series: Series, size: int, random: np.random.Generator) -> tuple[Counts, Counts]:
    hits = random.multivariate_hypergeometric(series.weights, int(series.hits.sum()), size=size)
    return hits, np.broadcast_to(series.weights, hits.shape)


def _cumulated(hits: Counts, weights: Counts) -> tuple[Counts, Counts]:
    """Sums of hits and weights before each month, starting with 0."""
    zero = np.zeros((len(hits), 1), dtype=np.int64)
    return np.hstack([zero, hits.cumsum(axis=1)]), np.hstack([zero, weights.cumsum(axis=1)])


def _gains(hits: Counts, weights: Counts, score: _Score) -> tuple[Floats, Floats]:
    """Of each series (one per row, see `_cumulated`) twice the log-likelihood ratio of the best change, and of the best
    two minus a cost."""
    n = hits.shape[1] - 1
    # Scores of the months before each place, and from it on.
    before = score(hits, weights)
    after = score(hits[:, -1:] - hits, weights[:, -1:] - weights)
    one = (before + after)[:, SHORTEST : n - SHORTEST + 1].max(axis=1)
    two = np.full(len(hits), -np.inf)
    for start in range(SHORTEST, n - 2 * SHORTEST + 1):
        ends = slice(start + SHORTEST, n - SHORTEST + 1)
        middle = score(hits[:, ends] - hits[:, start, None], weights[:, ends] - weights[:, start, None])
        two = np.maximum(two, before[:, start] + (middle + after[:, ends]).max(axis=1))
    return 2 * (one - before[:, -1]), 2 * (two - before[:, -1]) - 2 * math.log(n)


def _score_of(series: Series) -> _Score:
    """The log-likelihood of hits against weights at their own rate or share, without terms common to all splits."""
    counts = np.arange(1 + max(int(series.hits.sum()), int(series.weights.sum())), dtype=np.float64)
    logarithms = np.log(np.maximum(counts, 1))
    products = counts * logarithms
    if series.kind == "rate":
        return lambda hits, weights: products[hits] - hits * logarithms[weights]
    return lambda hits, weights: products[hits] + products[weights - hits] - products[weights]


def _places(series: Series, inner: tuple[int, ...]) -> Iterator[Place]:
    """Each change with the months that have most of its likelihood, given the other changes."""
    ends = (0, *inner, len(series.hits))
    for number, at in enumerate(inner):
        before, after = ends[number], ends[number + 2]
        part = series.part(before, after)
        hits, weights = part.cumulated
        score = _score_of(part)
        logs = (score(hits, weights) + score(hits[-1] - hits, weights[-1] - weights))[1:-1]
        likelihood = np.exp(logs - logs.max())
        order = np.argsort(-likelihood, kind="stable")
        enough = int(np.searchsorted(likelihood[order].cumsum(), _MASS * likelihood.sum())) + 1
        months = before + 1 + order[:enough]
        yield Place(at, int(min(months.min(), at)), int(max(months.max(), at)))
