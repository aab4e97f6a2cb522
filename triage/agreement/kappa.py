"""Cohen's and Fleiss' kappa: agreement beyond what chance would give, with a bootstrap interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from triage.agreement.confusion import Confusion
from triage.agreement.distance import Weights, disagreement
from triage.agreement.interval import METHOD, Floats, Interval, Resampling, Statistic, bootstrap, quotient, shown


class Kappa(BaseModel, frozen=True):
    """Cohen's kappa, -1 to 1: 1 is perfect agreement, 0 is what chance alone gives.

    `observed` is the share of incidents on which the two agree, `expected` the share that chance would give. With
    `weights` a disagreement counts less the closer the two labels are on their scale. If kappa is undefined, `value` is
    None and `undefined` says why.
    """

    value: float | None
    n: int = Field(ge=0)
    observed: float | None = None
    expected: float | None = None
    interval: Interval | None = None
    undefined: str | None = None
    weights: Weights | None = None

    def __str__(self) -> str:
        return shown(self.value, self.interval, self.undefined)

    def explain(self) -> str:
        """The figure in one sentence."""
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
    **options: Unpack[Resampling],
) -> Kappa:
    """Cohen's kappa of two labellings of the same incidents, kappa = (p_o - p_e) / (1 - p_e).

    Source: J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20
    (1960); with `weights` J. Cohen, Psychological Bulletin 70 (1968), which needs the labels' order, lowest or highest
    first, as `scale`. `resamples=0` leaves the interval out. Raises ValueError for labels that are not on the scale.

    >>> str(cohen_kappa(["yes", "yes", "no", "no"], ["yes", "no", "no", "no"], resamples=0))
    '0.50'
    """
    unknown = {*a, *b} - set(scale)
    if weights and unknown:
        raise ValueError(f"weighted kappa needs every label on the scale; missing: {', '.join(sorted(unknown))}")
    return kappa_of(Confusion.of(a, b, scale), weights=weights, **options)


def kappa_of(
    confusion: Confusion,
    *,
    weights: Weights | None = None,
    **options: Unpack[Resampling],
) -> Kappa:
    """Cohen's kappa from a confusion matrix, with a bootstrap interval over the incidents.

    With `weights` the order of the matrix's labels is their scale. The BCa interval draws from the incidents plus one
    on which the two disagree by chance, so that a disagreement too rare to be seen stays possible. That matters where
    agreement is high or a rare disagreement weighs much (evals/bench/coverage.py).
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
    interval = None
    if n > 1:
        drawn_from = counts if options.get("method", METHOD) == "percentile" else _with_one_disagreement(counts)
        rows, columns = np.nonzero(drawn_from)
        interval = bootstrap(kappa_statistic(rows, columns, apart), drawn_from[rows, columns], **options)
    if interval is not None:
        ends = {"low": min(interval.low, value), "high": max(interval.high, value)}
        interval = interval.model_copy(update=ends)
    return Kappa(value=value, n=n, observed=1 - seen, expected=1 - chance, interval=interval, weights=weights)


def _with_one_disagreement(counts: NDArray[np.int64]) -> Floats:
    """`counts` plus one disagreement by chance, scaled to the same number of incidents."""
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


class FleissKappa(Kappa, frozen=True):
    """Fleiss' kappa of `n` incidents with `ratings` labels each; `observed` is the share of pairs of labels that agree.

    Unlike Cohen's kappa it does not ask who gave which label, so the annotators may differ from incident to incident.
    """

    ratings: int = Field(default=0, ge=0)

    def _who(self) -> str:
        return f"two of {self.ratings} annotators"


def fleiss_kappa(
    ratings: Sequence[Sequence[str | None]],
    **options: Unpack[Resampling],
) -> FleissKappa:
    """Fleiss' kappa of incidents, each with one label per annotator; None where an annotator gave none.

    Source: J. L. Fleiss, Measuring nominal scale agreement among many raters, Psychological Bulletin 76 (1971).

    >>> str(fleiss_kappa([("a", "a", "b"), ("b", "b", "b"), ("a", "a", "a")], resamples=0))
    '0.55'
    """
    rows = [[label for label in labels if label is not None] for labels in ratings]
    sizes = sorted({len(labels) for labels in rows})
    problem = _problem(sizes)
    if problem is not None:
        return FleissKappa(value=None, n=len(rows), undefined=problem)
    names = sorted({label for labels in rows for label in labels})
    counts = Counter(tuple(map(labels.count, names)) for labels in rows)
    kinds = np.array(list(counts), dtype=np.float64).reshape(len(counts), len(names))
    times = np.array(list(counts.values()), dtype=np.int64)
    observed, expected = (float(one[0]) for one in _agreements(times[None, :].astype(np.float64), kinds, sizes[0]))
    result = FleissKappa(value=None, n=len(rows), observed=observed, expected=expected, ratings=sizes[0])
    if len(names) == 1:
        reason = f"all annotators use only the label {names[0]!r}, so chance alone explains all agreement"
        return result.model_copy(update={"undefined": reason})

    def statistic(draws: Floats) -> Floats:
        seen, chance = _agreements(draws, kinds, sizes[0])
        return quotient(seen - chance, 1 - chance)

    all_agree = bool((kinds.max(axis=1) == sizes[0]).all())
    interval = bootstrap(statistic, times, chance_disagreement=1 - expected if all_agree else None, **options)
    return result.model_copy(update={"value": (observed - expected) / (1 - expected), "interval": interval})


def _problem(sizes: list[int]) -> str | None:
    if not sizes or sizes == [0]:
        return "there is nothing to compare"
    if len(sizes) > 1:
        return (
            f"it needs the same number of labels on every incident, and here they have {sizes[0]} to {sizes[-1]}; "
            "Krippendorff's alpha does not"
        )
    return "every incident has one label only, so there is no pair to agree" if sizes == [1] else None


def _agreements(draws: Floats, kinds: Floats, ratings: int) -> tuple[Floats, Floats]:
    """Observed and expected agreement of each draw; `kinds` counts the labels of each kind of incident."""
    n = draws.sum(axis=1)
    agreeing = ((kinds**2).sum(axis=1) - ratings) / (ratings * (ratings - 1))
    shares = draws @ kinds / (n * ratings)[:, None]
    return draws @ agreeing / n, (shares**2).sum(axis=1)
