"""Fleiss' kappa: agreement of many annotators where every incident has the same number of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from triage.agreement.bootstrap import METHOD, Floats, bootstrap, quotient
from triage.agreement.interval import CONFIDENCE, RESAMPLES, Interval, Method
from triage.agreement.kappa import Kappa


class FleissKappa(Kappa, frozen=True):
    """Fleiss' kappa of `n` incidents with `ratings` labels each; `observed` is the share of pairs of labels that agree.

    Unlike Cohen's kappa it does not ask who gave which label, so the annotators may differ from incident to incident.
    """

    ratings: int = Field(default=0, ge=0)

    def _who(self) -> str:
        return f"two of {self.ratings} annotators"


def fleiss_kappa(
    ratings: Sequence[Sequence[str | None]],
    *,
    method: Method = METHOD,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> FleissKappa:
    """Fleiss' kappa of incidents with their labels, one for each annotator; None where an annotator gave none.

    Source: J. L. Fleiss, Measuring nominal scale agreement among many raters, Psychological Bulletin 76 (1971).

    >>> str(fleiss_kappa([("a", "a", "b"), ("b", "b", "b"), ("a", "a", "a")], resamples=0))
    '0.55'
    """
    given = [[label for label in labels if label is not None] for labels in ratings]
    sizes = sorted({len(labels) for labels in given})
    problem = _problem(sizes)
    if problem is not None:
        return FleissKappa(value=None, n=len(given), undefined=problem)
    names = sorted({label for labels in given for label in labels})
    counts = Counter(tuple(map(labels.count, names)) for labels in given)
    kinds = np.array(list(counts), dtype=np.float64).reshape(len(counts), len(names))
    times = np.array(list(counts.values()), dtype=np.int64)
    observed, expected = (float(one[0]) for one in _agreements(times[None, :].astype(np.float64), kinds, sizes[0]))
    result = FleissKappa(value=None, n=len(given), observed=observed, expected=expected, ratings=sizes[0])
    if len(names) == 1:
        reason = f"all annotators use only the label {names[0]!r}, so chance alone explains all agreement"
        return result.model_copy(update={"undefined": reason})
    interval = _interval(kinds, times, sizes[0], method, resamples, confidence, seed)
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


def _interval(
    kinds: Floats,
    times: NDArray[np.int64],
    ratings: int,
    method: Method,
    resamples: int,
    confidence: float,
    seed: int,
) -> Interval | None:
    def statistic(draws: Floats) -> Floats:
        observed, expected = _agreements(draws, kinds, ratings)
        return quotient(observed - expected, 1 - expected)

    n = int(times.sum())
    if resamples and n > 1 and (kinds.max(axis=1) == ratings).all():
        expected = _agreements(times[None, :].astype(np.float64), kinds, ratings)[1]
        return Interval.of_unseen(n, 1 - float(expected[0]), confidence)
    return bootstrap(statistic, times, method=method, resamples=resamples, confidence=confidence, seed=seed)


def _agreements(draws: Floats, kinds: Floats, ratings: int) -> tuple[Floats, Floats]:
    """Observed and expected agreement of each draw; `kinds` counts the labels of each kind of incident."""
    n = draws.sum(axis=1)
    agreeing = ((kinds**2).sum(axis=1) - ratings) / (ratings * (ratings - 1))
    shares = draws @ kinds / (n * ratings)[:, None]
    return draws @ agreeing / n, (shares**2).sum(axis=1)
