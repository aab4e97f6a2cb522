"""Cohen's kappa: agreement of two labellings beyond what chance would give, with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from triage.agreement.bootstrap import METHOD, Floats, Statistic, bootstrap, quotient
from triage.agreement.confusion import Confusion
from triage.agreement.distance import Weights, disagreement
from triage.agreement.interval import CONFIDENCE, RESAMPLES, Interval, Method


class Kappa(BaseModel, frozen=True):
    """Cohen's kappa, -1 to 1: 1 is perfect agreement, 0 is what chance alone gives.

    `observed` is the share of incidents on which the two agree, `expected` the share that chance would give; with
    `weights` a disagreement counts in part, the less the nearer the two labels are on their scale. Where kappa does
    not exist, `value` is None and `undefined` says why.
    """

    value: float | None
    n: int = Field(ge=0)
    observed: float | None = None
    expected: float | None = None
    interval: Interval | None = None
    undefined: str | None = None
    weights: Weights | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.undefined})"
        return f"{self.value:.2f} {self.interval}" if self.interval else f"{self.value:.2f}"

    def explain(self) -> str:
        """What the figure says, in one sentence."""
        name = f"kappa with {self.weights} weights" if self.weights else "kappa"
        if self.value is None or self.observed is None or self.expected is None:
            return f"{name[0].upper()}{name[1:]} is undefined: {self.undefined}."
        agree = f"{self.observed:.0%}" + (", disagreements counted by their distance" if self.weights else "")
        text = (
            f"On {self.n} incidents {self._who()} agree in {agree}, where chance alone would give "
            f"{self.expected:.0%}: {name} {self.value:.2f}"
        )
        return f"{text}, {self.interval.explain()}." if self.interval else f"{text}."

    def _who(self) -> str:
        return "the two"


def cohen_kappa(
    a: Sequence[str],
    b: Sequence[str],
    *,
    scale: Sequence[str] = (),
    weights: Weights | None = None,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Kappa:
    """Cohen's kappa of two labellings of the same incidents, kappa = (p_o - p_e) / (1 - p_e).

    Source: J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20
    (1960); with `weights` J. Cohen, Psychological Bulletin 70 (1968), which needs the labels' order, lowest or highest
    first, as `scale`. `resamples=0` leaves the interval out. Raises ValueError for labels that are not on the scale.

    >>> str(cohen_kappa(["yes", "yes", "no", "no"], ["yes", "no", "no", "no"], resamples=0))
    '0.50'
    """
    strange = {*a, *b} - set(scale)
    if weights and strange:
        raise ValueError(f"weighted kappa needs every label on the scale; not on it: {', '.join(sorted(strange))}")
    confusion = Confusion.of(a, b, scale)
    return kappa_of(confusion, weights=weights, method=method, resamples=resamples, confidence=confidence, seed=seed)


def kappa_of(
    confusion: Confusion,
    *,
    weights: Weights | None = None,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> Kappa:
    """Cohen's kappa from a confusion matrix, with a bootstrap interval over the incidents.

    With `weights` the order of the matrix's labels is their scale. The BCa interval draws from the incidents and one
    more on which the two disagree as they would by chance: what is too rare to have been seen stays possible, which
    matters where agreement is high and where a rare disagreement weighs much (evals/bench/coverage.py).
    """
    n = confusion.n
    if n == 0:
        return Kappa(value=None, n=0, undefined="there is nothing to compare", weights=weights)
    counts = confusion.array
    rows, columns = np.nonzero(counts)
    cells = counts[rows, columns]
    apart = disagreement(len(confusion.labels), weights)
    seen, chance = (float(one[0]) for one in _disagreements(cells[None, :].astype(np.float64), rows, columns, apart))
    if len(set(rows) | set(columns)) == 1:
        label = confusion.labels[int(rows[0])]
        return Kappa(
            value=None,
            n=n,
            observed=1 - seen,
            expected=1 - chance,
            undefined=f"both sides use only the label {label!r}, so chance alone explains all agreement",
            weights=weights,
        )
    value = 1 - seen / chance
    drawn_from = counts if method == "percentile" else _with_one_disagreement(counts)
    rows, columns = np.nonzero(drawn_from)
    interval = bootstrap(
        kappa_statistic(rows, columns, apart),
        drawn_from[rows, columns],
        method=method,
        resamples=resamples if n > 1 else 0,
        confidence=confidence,
        seed=seed,
    )
    if interval is not None:
        ends = {"low": min(interval.low, value), "high": max(interval.high, value)}
        interval = interval.model_copy(update=ends)
    return Kappa(value=value, n=n, observed=1 - seen, expected=1 - chance, interval=interval, weights=weights)


def _with_one_disagreement(counts: NDArray[np.int64]) -> Floats:
    """As many incidents as in `counts`, shared out as they are with one disagreement by chance beside them."""
    n = counts.sum()
    chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) * (1 - np.eye(len(counts)))
    shared: Floats = (counts + chance / chance.sum()) * (n / (n + 1))
    return shared


def kappa_statistic(rows: NDArray[np.intp], columns: NDArray[np.intp], apart: Floats) -> Statistic:
    """Kappa where an incident of kind i has label `rows[i]` from one side and `columns[i]` from the other."""

    def statistic(draws: Floats) -> Floats:
        seen, chance = _disagreements(draws, rows, columns, apart)
        return 1 - quotient(seen, chance)

    return statistic


def _disagreements(
    draws: Floats, rows: NDArray[np.intp], columns: NDArray[np.intp], apart: Floats
) -> tuple[Floats, Floats]:
    """Observed and expected disagreement of each draw; `draws` has shape (draws, kinds)."""
    n = draws.sum(axis=1)
    identity = np.eye(len(apart))
    seen = quotient(draws @ apart[rows, columns], n)
    chance = quotient((((draws @ identity[rows]) @ apart) * (draws @ identity[columns])).sum(axis=1), n**2)
    return seen, chance
