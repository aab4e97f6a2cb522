"""The mean agreement of several pairs of annotators, and the difference of two such means, with their intervals."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Unpack

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from triage.agreement.alpha import alpha_statistic
from triage.agreement.distance import disagreement, set_distances
from triage.agreement.interval import Floats, Interval, Resampling, Statistic, bootstrap, shown
from triage.agreement.kappa import kappa_statistic
from triage.agreement.ratings import LabelSet

Pair = tuple[int, int]


class MeanAgreement(BaseModel, frozen=True):
    """The unweighted mean of an agreement over `pairs` pairs of annotators, or a difference of two such means.

    `n` counts the incidents that at least one pair labelled; the interval resamples them for all pairs together. If the
    mean is undefined, `value` is None and `undefined` says why.
    """

    value: float | None
    pairs: int = Field(ge=0)
    n: int = Field(default=0, ge=0)
    interval: Interval | None = None
    undefined: str | None = None

    def __str__(self) -> str:
        return shown(self.value, self.interval, self.undefined)


def mean_agreement(
    rows: Sequence[Sequence[LabelSet | None]],
    pairs: Sequence[Pair],
    minus: Sequence[Pair] = (),
    *,
    of_sets: bool = False,
    **options: Unpack[Resampling],
) -> MeanAgreement:
    """The mean of Cohen's kappa on the first labels over `pairs` of columns of `rows`, less that over `minus`.

    With `of_sets` it is the mean of Krippendorff's alpha with the MASI distance. Undefined pairs are left out.
    """
    values = sorted({labels if of_sets else labels[:1] for row in rows for labels in row if labels})
    place = {labels: i for i, labels in enumerate(values)}
    codes = [[place[labels if of_sets else labels[:1]] if labels else -1 for labels in row] for row in rows]
    kinds, times = np.unique(np.array(codes, dtype=np.int64).reshape(len(rows), -1), axis=0, return_counts=True)
    relevant = np.zeros(len(kinds), dtype=bool)
    for first, second in (*pairs, *minus):
        relevant |= (kinds[:, first] >= 0) & (kinds[:, second] >= 0)
    kinds, times = kinds[relevant], times[relevant]
    n = int(times.sum())
    if not n or not pairs:
        return MeanAgreement(value=None, pairs=len(pairs), undefined="no incident was labelled by both of any pair")
    apart = set_distances(values, "masi") if of_sets else disagreement(len(values))
    plus, less = (
        [_of_pair(kinds[:, a], kinds[:, b], apart, of_sets=of_sets) for a, b in some] for some in (pairs, minus)
    )

    def statistic(draws: Floats) -> Floats:
        return _mean(plus, draws) - (_mean(less, draws) if less else 0.0)

    value = float(statistic(times[None, :].astype(np.float64))[0])
    if np.isnan(value):
        only = "every pair uses one label only, so chance alone explains all agreement"
        return MeanAgreement(value=None, pairs=len(pairs), n=n, undefined=only)
    chance = _chance_disagreement(kinds, times, pairs) if not minus and value > 1 - 1e-12 else None
    interval = bootstrap(statistic, times, chance_disagreement=chance, **options)
    return MeanAgreement(value=value, pairs=len(pairs), n=n, interval=interval)


def _of_pair(first: NDArray[np.int64], second: NDArray[np.int64], apart: Floats, *, of_sets: bool) -> Statistic:
    both = np.flatnonzero((first >= 0) & (second >= 0))
    a, b = first[both].astype(np.intp), second[both].astype(np.intp)
    identity = np.eye(len(apart))
    statistic = alpha_statistic(identity[a] + identity[b], apart) if of_sets else kappa_statistic(a, b, apart)
    return lambda draws: statistic(draws[:, both])


def _chance_disagreement(kinds: NDArray[np.int64], times: NDArray[np.int64], pairs: Sequence[Pair]) -> float:
    """The share of pairs of labels that would differ by chance, over all columns in `pairs`."""
    columns = sorted({column for pair in pairs for column in pair})
    labels, weights = kinds[:, columns].ravel(), np.repeat(times, len(columns))
    shares = np.bincount(labels[labels >= 0], weights[labels >= 0])
    return 1 - float(((shares / shares.sum()) ** 2).sum())


def _mean(statistics: Sequence[Statistic], draws: Floats) -> Floats:
    found = np.stack([statistic(draws) for statistic in statistics])
    with warnings.catch_warnings():
        # A draw in which no pair has a figure has no mean; NumPy warns of it.
        warnings.simplefilter("ignore", RuntimeWarning)
        mean: Floats = np.nanmean(found, axis=0)
    return mean
