"""The metrics of a run with their bootstrap intervals."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from pydantic import BaseModel, Field

from triage.agreement import kappa_of
from triage.agreement.interval import CONFIDENCE, RESAMPLES, Floats, Interval
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.journal import CaseRecord, finished
from triage.evaluation.metrics import Draws, Metric, Round, Values, find_metric
from triage.evaluation.runs import Run, rounds_of
from triage.models.chat.prices import Price

_CELLS_AT_A_TIME = 4_000_000


class Measured(BaseModel, frozen=True):
    """A metric of a run with its bootstrap interval over the `n` cases that count; totals are exact and have none."""

    metric: str
    value: float | None
    interval: Interval | None = None
    n: int = Field(ge=0)
    undefined: str | None = None

    @property
    def definition(self) -> Metric:
        """What was measured."""
        return find_metric(self.metric)[0]

    @property
    def is_exact(self) -> bool:
        """True for counts and totals of this very run, which are no estimate from a sample."""
        return self.definition.is_exact

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.undefined})"
        if self.is_exact:
            return f"{self.value:,.4g}" if self.value % 1 else f"{self.value:,.0f}"
        return f"{self.value:.3g} {self.interval}" if self.interval else f"{self.value:.3g}"


class Scores:
    """The metrics of one run on the cases `ids`, which every one of its `rounds` (case id -> record) finished."""

    def __init__(
        self,
        rounds: Sequence[Mapping[str, CaseRecord]],
        taxonomy: Taxonomy,
        ids: Sequence[str],
        price: Price | None = None,
    ) -> None:
        self.n = len(ids)
        records = [[one[key] for key in ids] for one in rounds]
        flips = _flips(records)
        self._rounds = [Round(one, taxonomy, price, flips) for one in records]

    @classmethod
    def of(cls, rounds: Sequence[Sequence[CaseRecord]], taxonomy: Taxonomy, price: Price | None = None) -> Scores:
        """The metrics on all cases that are finished in every round."""
        by_id = [finished(records) for records in rounds]
        return cls(by_id, taxonomy, [key for key in by_id[0] if all(key in other for other in by_id[1:])], price)

    @classmethod
    def of_run(cls, run: Run, taxonomy: Taxonomy) -> Scores:
        """The metrics of a run with its repeats."""
        return cls.of([one.records for one in rounds_of(run)], taxonomy, run.info.price)

    def values(self, name: str, draws: Draws, shares: Floats | None = None) -> Values:
        """The metric for each draw: the mean over the rounds, or their sum weighted by `shares` (draws, rounds)."""
        metric, facet = find_metric(name)
        each = np.stack([metric.values(one, facet, draws) for one in self._rounds], axis=1)
        return np.asarray(each.mean(axis=1) if shares is None else (each * shares).sum(axis=1), dtype=np.float64)

    def measure(
        self, name: str, *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
    ) -> Measured:
        """The metric with its interval."""
        if not self.n:
            return Measured(metric=name, value=None, n=0, undefined="no case is finished")
        metric, facet = find_metric(name)
        n = self.counted(name)
        value = float(self.values(name, np.ones((1, self.n), dtype=np.int64))[0])
        if np.isnan(value):
            return Measured(metric=name, value=None, n=n, undefined=metric.undefined)
        if metric.is_exact or not resamples:
            return Measured(metric=name, value=value, n=n)
        if metric.is_kappa and len(self._rounds) == 1 and not self._rounds[0].facet(facet).is_multi:
            # The figure and the interval of the run's summary.
            confusion = self._rounds[0].facet(facet).confusion(answered_only=metric.is_answered_only)
            kappa = kappa_of(confusion, resamples=resamples, confidence=confidence, seed=seed)
            return Measured(metric=name, value=kappa.value, n=n, interval=kappa.interval)
        drawn = np.concatenate([self.values(name, draws, shares) for draws, shares in self.draws(resamples, seed)])
        interval = interval_of(metric, drawn, value, self.without_one(name), self.unseen(name, confidence), confidence)
        return Measured(metric=name, value=value, n=n, interval=interval)

    def draws(self, resamples: int, seed: int) -> Iterator[tuple[Draws, Floats]]:
        """Bootstrap draws of cases and shares of rounds, the same for the same seed, n and number of rounds.

        A case counts as a whole: all its rounds come and go together. The rounds are drawn too, so that an interval
        holds what a model changes by itself.
        """
        cases, rounds = np.random.default_rng(seed), np.random.default_rng(seed + 1)
        rows, count = max(1, _CELLS_AT_A_TIME // max(self.n, 1)), len(self._rounds)
        for start in range(0, resamples, rows):
            size = min(rows, resamples - start)
            draws = cases.multinomial(self.n, np.full(self.n, 1 / self.n), size=size)
            yield draws, rounds.multinomial(count, np.full(count, 1 / count), size=size) / count

    def counted(self, name: str) -> int:
        """How many cases the metric is about."""
        metric, facet = find_metric(name)
        if not metric.is_of_facet:
            return self.n
        cases = self._rounds[0].facet(facet)
        return int(cases.answered.sum()) if metric.is_answered_only else len(cases.at)

    def without_one(self, name: str) -> Callable[[], Values]:
        """Computes the metric without each case in turn."""

        def jackknife() -> Values:
            rows = max(1, _CELLS_AT_A_TIME // max(self.n, 1))
            identity = np.eye(self.n, dtype=np.int64)
            parts = [self.values(name, 1 - identity[start : start + rows]) for start in range(0, self.n, rows)]
            return np.concatenate(parts)

        return jackknife

    def unseen(self, name: str, confidence: float = CONFIDENCE) -> float | None:
        """How far the true value may be from one that no resample changes; None for metrics that are no share.

        What these cases never show may still be up to 1 - (tail)^(1/n) of all cases (C. J. Clopper & E. S. Pearson,
        Biometrika 26, 1934). For kappa that share counts more, by the disagreement that chance leaves.
        """
        metric, facet = find_metric(name)
        n = self.counted(name)
        if not metric.is_share or not n:
            return None
        share = 1 - math.pow((1 - confidence) / 2, 1 / n)
        if metric.is_kappa and not (cases := self._rounds[0].facet(facet)).is_multi:
            chance = 1 - float(((np.bincount(cases.gold) / len(cases.gold)) ** 2).sum())
            return min(2.0, share / chance) if chance else None
        return share


def interval_of(
    metric: Metric,
    drawn: Values,
    value: float,
    without_one: Callable[[], Values],
    unseen: float | None,
    confidence: float = CONFIDENCE,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Interval | None:
    """The interval of a metric from its resamples: BCa, or percentiles where the metric is no smooth function of cases.

    Where no resample differs, the interval reaches as far as so many cases could have missed, within `limits`.
    """
    defined = drawn[~np.isnan(drawn)]
    if unseen is not None and defined.size and np.ptp(defined) < 1e-12:
        low, high = max(limits[0], value - unseen), min(limits[1], value + unseen)
        return Interval(low=low, high=high, confidence=confidence, resamples=0, method="unseen")
    if not metric.is_smooth:
        return Interval.of(drawn, confidence)
    jackknife = without_one()
    if np.isnan(jackknife).all():
        return Interval.of(drawn, confidence)
    influence = np.nanmean(jackknife) - jackknife
    return Interval.of_bca(drawn, value, influence, np.ones(len(influence)), confidence)


def _flips(rounds: Sequence[Sequence[CaseRecord]]) -> Floats:
    """The share of each case's labels that differ between two rounds, on average over all pairs; NaN for one round."""
    pairs = [
        [_changed(before, after) for before, after in zip(first, second, strict=True)]
        for i, first in enumerate(rounds)
        for second in rounds[i + 1 :]
    ]
    return np.mean(pairs, axis=0) if pairs else np.full(len(rounds[0]) if rounds else 0, np.nan)


def _changed(before: CaseRecord, after: CaseRecord) -> float:
    changes = [labels != after.predicted.get(facet) for facet, labels in before.predicted.items()]
    return sum(changes) / len(changes) if changes else 0.0
