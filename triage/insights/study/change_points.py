"""Change points of a monthly series: how many there are, where, and how sure that is. Pure functions on counts.

The best places of k changes are those with the largest likelihood, found by dynamic programming. Whether there is one
more is tested in each stretch between two changes, with its months put in random order. The tests go on while they are
passed, so one more change than there is is told about as often as `level` says: see docs/decisions/0007.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

SHORTEST = 3
"""Months between two changes, at least."""
FEWEST = 20
"""Below so many hits no change is looked for."""
DRAWS = 9_999
"""Random orders at most; fewer are drawn where they decide."""

_EXCEEDING = 20
_LEAST_DRAWS = 999
_BATCH = 250
_MASS = 0.95

Kind = Literal["rate", "share"]
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
_Score = Callable[[Counts, Counts], Floats]


class Series(NamedTuple):
    """What was counted in each month, and against what: days for a `rate`, incidents for a `share`."""

    hits: Counts
    weights: Counts
    kind: Kind

    def part(self, start: int, end: int) -> Series:
        """The months from `start` to before `end`."""
        return Series(self.hits[start:end], self.weights[start:end], self.kind)

    @property
    def cumulated(self) -> tuple[Counts, Counts]:
        """Hits and weights of all months before each place, from 0 on."""
        hits, weights = _cumulated(self.hits[None, :], self.weights[None, :])
        return hits[0], weights[0]

    @property
    def is_testable(self) -> bool:
        """Whether a change could be seen at all: there are months for it, and they can differ."""
        hits = int(self.hits.sum())
        most = hits if self.kind == "rate" else int(self.weights.sum())
        return len(self.hits) >= 2 * SHORTEST and hits > 0 and (self.kind == "rate" or hits < most)


class Place(NamedTuple):
    """A change begins at the month `at`; from `earliest` to `latest` lie 95% of its likelihood."""

    at: int
    earliest: int
    latest: int


class Changes(NamedTuple):
    """The changes in a series; `p` is that of there being any."""

    places: tuple[Place, ...]
    p: float


class _Test(NamedTuple):
    p: float
    more: int


def find_changes(series: Series, *, level: float = 0.05, draws: int = DRAWS, seed: int = 0) -> Changes | None:
    """All changes that can be told from chance at this level; None where there is too little to look at."""
    if not series.is_testable or series.hits.sum() < FEWEST:
        return None
    fits = _Fits(series)
    known: dict[tuple[int, int], _Test] = {}
    inner: tuple[int, ...] = ()
    stretches = [(0, len(series.hits))]
    while stretches:
        for both in stretches:
            if both not in known:
                known[both] = _test(series.part(*both), level, draws, np.random.default_rng([seed, *both]))
        best = min((known[both] for both in stretches), key=lambda test: test.p)
        # Z. Sidak, Rectangular confidence regions for the means of multivariate normal distributions, JASA 62 (1967).
        if 1 - (1 - best.p) ** len(stretches) > level:
            break
        inner = fits.best(len(inner) + best.more)
        ends = itertools.pairwise((0, *inner, len(series.hits)))
        stretches = [both for both in ends if series.part(*both).is_testable]
    return Changes(tuple(_places(series, inner)), known[0, len(series.hits)].p)


class _Fits:
    """The best places of any number of changes: I. E. Auger & C. E. Lawrence, Algorithms for the optimal
    identification of segment neighborhoods, Bulletin of Mathematical Biology 51 (1989)."""

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
        """The months at which they begin. There must be room for them."""
        while len(self._best) <= changes:
            through = self._best[-1][:, None] + self._gain
            self._from.append(through.argmax(axis=0))
            self._best.append(through.max(axis=0))
        at = len(self._gain) - 1
        found = [at := int(self._from[number][at]) for number in reversed(range(changes))]
        return tuple(reversed(found))


def _test(series: Series, level: float, draws: int, lots: np.random.Generator) -> _Test:
    """Whether the series changes: the p-value, and how many changes that speaks for (one or two).

    Months in random order are what a series without a change is held against, which holds too where incidents come in
    bursts. Shares of months with few and with many incidents can't change places, so shares have to pass a second
    test, with the hits dealt anew among the incidents.
    """
    tests = [_tested(series, level, draws, lambda size: _in_random_order(series, size, lots))]
    if series.kind == "share" and tests[0].p <= level:
        tests.append(_tested(series, level, draws, lambda size: _dealt_anew(series, size, lots)))
    return max(tests, key=lambda test: test.p)


def _tested(series: Series, level: float, draws: int, draw: Callable[[int], tuple[Counts, Counts]]) -> _Test:
    """The p-value of the gain in likelihood by one change, or of that by two (a rise that ends is seen by no single
    one) less what the second costs; and whether one is enough.

    Draws end early where the p-value is large: J. Besag & P. Clifford, Sequential Monte Carlo p-values, Biometrika 78
    (1991).
    """
    score = _score_of(series)
    ones, twos = _gains(*_cumulated(series.hits[None, :], series.weights[None, :]), score)
    one, most = float(ones[0]), float(max(ones[0], twos[0]))
    # As good as equal is equal: sums in another order differ in their last bits.
    slack = 1e-9 * max(1.0, abs(most))
    # At the level itself some twenty of these exceed what is seen by chance.
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


def _in_random_order(series: Series, size: int, lots: np.random.Generator) -> tuple[Counts, Counts]:
    orders = lots.permuted(np.tile(np.arange(len(series.hits)), (size, 1)), axis=1)
    return series.hits[orders], series.weights[orders]


def _dealt_anew(series: Series, size: int, lots: np.random.Generator) -> tuple[Counts, Counts]:
    hits = lots.multivariate_hypergeometric(series.weights, int(series.hits.sum()), size=size)
    return hits, np.broadcast_to(series.weights, hits.shape)


def _cumulated(hits: Counts, weights: Counts) -> tuple[Counts, Counts]:
    """Hits and weights of all months before each place, from 0 on."""
    zero = np.zeros((len(hits), 1), dtype=np.int64)
    return np.hstack([zero, hits.cumsum(axis=1)]), np.hstack([zero, weights.cumsum(axis=1)])


def _gains(hits: Counts, weights: Counts, score: _Score) -> tuple[Floats, Floats]:
    """Of each series (a row each, see `_cumulated`) twice the log of the likelihood ratio of the best change, and of
    the best two, less a cost."""
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
    """The log-likelihood of hits against weights at their own rate or share, less what all splits have in common."""
    counts = np.arange(1 + max(int(series.hits.sum()), int(series.weights.sum())), dtype=np.float64)
    logarithms = np.log(np.maximum(counts, 1))
    products = counts * logarithms
    if series.kind == "rate":
        return lambda hits, weights: products[hits] - hits * logarithms[weights]
    return lambda hits, weights: products[hits] + products[weights - hits] - products[weights]


def _places(series: Series, inner: tuple[int, ...]) -> Iterator[Place]:
    """Each change with the months in which most of its likelihood lies, all others being where they are."""
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
