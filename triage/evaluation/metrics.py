"""Every metric of a run as a function of how often each case counts, so that all can be bootstrapped in step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from triage.agreement import Confusion, kappa_of
from triage.agreement.interval import CONFIDENCE, RESAMPLES, Interval
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.gate_rules import FACET_METRICS, RUN_METRICS
from triage.evaluation.journal import CaseRecord
from triage.evaluation.runs import Run, rounds_of
from triage.evaluation.statistics import (
    FACET_STATISTICS,
    Columns,
    Values,
    Weights,
    mean,
    read_columns,
    summarise_figures,
)
from triage.models.chat.prices import Price

_CHUNK = 4_000_000
_EXACT = {"cost.total", "tokens.total", "calls.total", "retries.total", "failed.count", "degraded.count"}
_SHARES = {
    *("kappa", "accuracy", "answered_kappa", "answered_accuracy", "coverage", "evidence", "neighbour_hit"),
    *("failed.share", "degraded.share", "flips.share"),
}
_ROUGH = {"latency", "ece"}
_DEFAULT = ("kappa", "accuracy", "macro_f1", "coverage", "ece", "evidence", "neighbour_hit")


class Measured(BaseModel, frozen=True):
    """A metric of a run with its bootstrap interval over the cases; totals are exact and have none."""

    metric: str
    value: float | None
    interval: Interval | None = None
    n: int = Field(ge=0)
    undefined: str | None = None

    @property
    def is_exact(self) -> bool:
        """True for counts and totals of this very run: no sample of anything."""
        return self.metric in _EXACT

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.undefined})"
        if self.is_exact:
            return f"{self.value:,.4g}" if self.value % 1 else f"{self.value:,.0f}"
        return f"{self.value:.3g} {self.interval}" if self.interval else f"{self.value:.3g}"


class Scores:
    """The metrics of one run, given as the records of its repeats, on the cases `ids` (all of them finished).

    Tokens, calls and costs are those of a run that takes nothing from a cache, so that runs can be compared.
    """

    def __init__(
        self,
        repeats: Sequence[Mapping[str, CaseRecord]],
        taxonomy: Taxonomy,
        ids: Sequence[str],
        price: Price | None = None,
    ) -> None:
        self.n = len(ids)
        self._rounds = [_Round([records[key] for key in ids], taxonomy, price) for records in repeats]

    @classmethod
    def of(cls, repeats: Sequence[Sequence[CaseRecord]], taxonomy: Taxonomy, price: Price | None = None) -> Scores:
        """The metrics on all cases that are finished in every repeat."""
        by_id = [finished(records) for records in repeats]
        return cls(by_id, taxonomy, [key for key in by_id[0] if all(key in other for other in by_id[1:])], price)

    @classmethod
    def of_run(cls, run: Run, taxonomy: Taxonomy) -> Scores:
        """The metrics of a run with its repeats."""
        return cls.of([one.records for one in rounds_of(run)], taxonomy, run.info.price)

    def values(self, metric: str, weights: Weights, rounds: NDArray[np.float64] | None = None) -> Values:
        """The metric for each draw: the mean over the repeats, or their sum weighted by `rounds` (draws, repeats)."""
        if metric == "flips.share":
            return self._flips(weights)
        each = np.stack([one.values(metric, weights) for one in self._rounds], axis=1)
        return np.asarray(each.mean(axis=1) if rounds is None else (each * rounds).sum(axis=1), dtype=np.float64)

    def measure(
        self, metric: str, *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
    ) -> Measured:
        """The metric with its interval."""
        if not self.n:
            return Measured(metric=metric, value=None, n=0, undefined="no case is finished")
        value, n = float(self.values(metric, np.ones((1, self.n), dtype=np.int64))[0]), self.counted(metric)
        if np.isnan(value):
            return Measured(metric=metric, value=None, n=n, undefined=_why_undefined(metric))
        if metric in _EXACT or not resamples:
            return Measured(metric=metric, value=value, n=n)
        if (confusion := self._confusion_of_one_round(metric)) is not None:
            # The same figure, with the same interval, as everywhere else.
            kappa = kappa_of(confusion, resamples=resamples, confidence=confidence, seed=seed)
            return Measured(metric=metric, value=value, n=n, interval=kappa.interval)
        drawn = np.concatenate(
            [self.values(metric, weights, rounds) for weights, rounds in self.draws(resamples, seed)]
        )
        interval = interval_of(metric, drawn, value, self.without_one, self.unseen(metric, confidence), confidence)
        return Measured(metric=metric, value=value, n=n, interval=interval)

    def _confusion_of_one_round(self, metric: str) -> Confusion | None:
        """The counts where `metric` is the kappa of a facet with one label, and nothing was repeated."""
        name, _, facet = metric.partition(".")
        if name not in {"kappa", "answered_kappa"} or len(self._rounds) > 1:
            return None
        columns = self._rounds[0].columns(facet)
        if columns.is_multi:
            return None
        counted = columns.answered if name == "answered_kappa" else np.ones(len(columns.at), dtype=bool)
        gold, said = ([columns.names[code] for code in codes[counted]] for codes in (columns.gold, columns.said))
        return Confusion.of(gold, said, columns.names)

    def draws(self, resamples: int, seed: int) -> Iterator[tuple[Weights, NDArray[np.float64]]]:
        """Bootstrap weights of cases and of repeats, the same for the same seed, n and number of repeats.

        A case counts as a whole: all its repeats come and go together. The repeats are drawn too, so that an interval
        holds what a model changes by itself.
        """
        cases, repeats = np.random.default_rng(seed), np.random.default_rng(seed + 1)
        rows = max(1, _CHUNK // max(self.n, 1))
        for start in range(0, resamples, rows):
            size = min(rows, resamples - start)
            count = len(self._rounds)
            weights = cases.multinomial(self.n, np.full(self.n, 1 / self.n), size=size)
            yield weights, repeats.multinomial(count, np.full(count, 1 / count), size=size) / count

    def counted(self, metric: str) -> int:
        """How many cases the metric stands on."""
        name, _, facet = metric.partition(".")
        if name not in FACET_METRICS:
            return self.n
        columns = self._rounds[0].columns(facet)
        return int(columns.answered.sum()) if name.startswith(("answered", "evidence")) else len(columns.at)

    def without_one(self, metric: str) -> Values:
        """The metric without each case in turn."""
        rows = max(1, _CHUNK // max(self.n, 1))
        identity = np.eye(self.n, dtype=np.int64)
        return np.concatenate(
            [self.values(metric, 1 - identity[start : start + rows]) for start in range(0, self.n, rows)]
        )

    def unseen(self, metric: str, confidence: float = CONFIDENCE) -> float | None:
        """How far the true value may be from one that no resample changes; None for metrics that are no share.

        What these cases never show may still be up to 1 - (tail)^(1/n) of all cases (C. J. Clopper & E. S. Pearson,
        Biometrika 26, 1934); for kappa that share counts more, by the disagreement that chance leaves.
        """
        name, _, facet = metric.partition(".")
        if name not in _SHARES and metric not in _SHARES:
            return None
        columns = self._rounds[0].columns(facet) if name in FACET_METRICS else None
        n = self.counted(metric)
        if not n:
            return None
        share = 1 - math.pow((1 - confidence) / 2, 1 / n)
        if columns is not None and "kappa" in name and not columns.is_multi:
            chance = 1 - float(((np.bincount(columns.gold) / len(columns.gold)) ** 2).sum())
            return min(2.0, share / chance) if chance else None
        return share

    def _flips(self, weights: Weights) -> Values:
        pairs = [first.differs_from(second) for i, first in enumerate(self._rounds) for second in self._rounds[i + 1 :]]
        if not pairs:
            return np.full(len(weights), np.nan)
        return mean(np.mean(pairs, axis=0), weights)


def interval_of(
    metric: str,
    drawn: Values,
    value: float,
    without_one: Callable[[str], Values],
    unseen: float | None,
    confidence: float = CONFIDENCE,
    limits: tuple[float, float] = (0.0, 1.0),
) -> Interval | None:
    """The interval of a metric from its resamples: BCa, or percentiles where the metric is no smooth function of cases.

    Where no resample differs, the interval reaches as far as so many cases could have missed; `limits` are those of
    the metric.
    """
    defined = drawn[~np.isnan(drawn)]
    if unseen is not None and defined.size and np.ptp(defined) < 1e-12:
        low, high = max(limits[0], value - unseen), min(limits[1], value + unseen)
        return Interval(low=low, high=high, confidence=confidence, resamples=0, method="unseen")
    if metric.partition(".")[0] in _ROUGH:
        return Interval.of(drawn, confidence)
    jackknife = without_one(metric)
    if np.isnan(jackknife).all():
        return Interval.of(drawn, confidence)
    influence = np.nanmean(jackknife) - jackknife
    return Interval.of_bca(drawn, value, influence, np.ones(len(influence)), confidence)


def finished(records: Sequence[CaseRecord]) -> dict[str, CaseRecord]:
    """The finished cases by id, in their order."""
    return {record.case_id: record for record in records if record.status == "done"}


def names_of(facets: Sequence[Facet]) -> list[str]:
    """The metrics that are shown where a suite names none."""
    each = [f"{name}.{facet.id}" for facet in facets for name in _DEFAULT if _suits(name, facet)]
    return [*each, "latency.median", "latency.p95", "tokens.mean", "degraded.share"]


def _suits(name: str, facet: Facet) -> bool:
    return facet.cardinality != "multi" or name != "ece"


class _Round:
    """One repeat: the records as arrays."""

    def __init__(self, records: Sequence[CaseRecord], taxonomy: Taxonomy, price: Price | None) -> None:
        self._price = price
        self._records = records
        self._taxonomy = taxonomy
        self._columns: dict[str, Columns] = {}

    def values(self, metric: str, weights: Weights) -> Values:
        if metric in RUN_METRICS:
            kind, _, how = metric.partition(".")
            return summarise_figures(how, self._figures(kind), weights)
        name, _, facet = metric.partition(".")
        columns = self.columns(facet)
        return FACET_STATISTICS[name](columns, weights[:, columns.at])

    def differs_from(self, other: _Round) -> NDArray[np.float64]:
        """Per case: the share of its facets whose labels differ."""
        return np.array(
            [
                np.mean([float(labels != theirs.predicted.get(key)) for key, labels in mine.predicted.items()] or [0.0])
                for mine, theirs in zip(self._records, other._records, strict=True)
            ]
        )

    def _figures(self, kind: str) -> NDArray[np.float64]:
        """One number per case."""
        about = [record.provenance for record in self._records]
        match kind:
            case "latency":
                found = [record.seconds for record in self._records]
            case "degraded":
                found = [float(record.degraded) for record in self._records]
            case "tokens":
                found = [float(p.prompt_tokens + p.completion_tokens) if p else np.nan for p in about]
            case "calls":
                found = [float(p.model_calls) if p else np.nan for p in about]
            case "retries":
                found = [float(p.retries) if p else np.nan for p in about]
            case "cost" if self._price is not None:
                found = [self._price.of(p.prompt_tokens, p.completion_tokens) if p else np.nan for p in about]
            case _:
                found = [np.nan] * len(about)
        return np.array(found, dtype=np.float64)

    def columns(self, facet_id: str) -> Columns:
        """What is known of one facet."""
        if facet_id not in self._columns:
            self._columns[facet_id] = read_columns(self._records, self._taxonomy.facet(facet_id))
        return self._columns[facet_id]


def _why_undefined(metric: str) -> str:
    name = metric.partition(".")[0]
    match name:
        case "kappa" | "answered_kappa":
            return "both sides use one label only, or no case has a gold label"
        case "flips":
            return "the run has no repeats: set `repeats: 2` or more in the suite"
        case "cost":
            return "the price of the model is not known: set TRIAGE_PRICES"
        case "ece":
            return "no probabilities are recorded"
        case _:
            return "no case has it" if name in FACET_METRICS else "it is not recorded"
