"""The annotations of one facet as a table: incidents in rows, annotators in columns, gold labels beside it.

`mean_agreement` measures the mean agreement of several pairs of its columns, and the difference of two such means.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple, Unpack

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from triage.agreement.alpha import alpha_statistic
from triage.agreement.distance import disagreement, set_distances
from triage.agreement.interval import Floats, Interval, Resampling, Statistic, bootstrap, shown
from triage.agreement.kappa import kappa_statistic
from triage.domain.annotation import Annotation, Origin, standing

LabelSet = tuple[str, ...]
Pair = tuple[int, int]
LabelPairs = Sequence[tuple[LabelSet, LabelSet]]


class Annotator(NamedTuple):
    """Who labelled. The same name with two origins is two annotators."""

    name: str
    origin: Origin


class Ratings(NamedTuple):
    """The latest labels of each annotator for each incident of one facet; None where they gave no answer.

    The answer that the write-up doesn't tell counts as a label, `NOT_TOLD`.
    `gold` and `derived_gold` map incidents to gold labels; an incident with a person's gold label is not in
    `derived_gold`. A model's gold labels are left out: a model must not judge itself.
    """

    annotators: tuple[Annotator, ...]
    incidents: tuple[str, ...]
    rows: tuple[tuple[LabelSet | None, ...], ...]
    gold: dict[str, LabelSet]
    derived_gold: dict[str, LabelSet]

    @classmethod
    def of(cls, annotations: Iterable[Annotation]) -> Ratings:
        """The table of one facet's annotations, given oldest first."""
        counted = standing(annotations)
        # An adjudication settles the opinions of others: it is gold, not another opinion.
        opinions = [one for one in counted if not one.is_adjudication]
        annotators = sorted({Annotator(one.annotator, one.origin) for one in opinions})
        incidents = sorted({one.incident_id for one in counted})
        labels = {(one.incident_id, Annotator(one.annotator, one.origin)): one.answer for one in opinions}
        gold = {one.incident_id: one.answer for one in counted if one.is_gold and one.origin == "human"}
        derived = {one.incident_id: one.answer for one in counted if one.is_gold and one.origin == "derived"}
        return cls(
            annotators=tuple(annotators),
            incidents=tuple(incidents),
            rows=tuple(tuple(labels.get((incident, annotator)) for annotator in annotators) for incident in incidents),
            gold=gold,
            derived_gold={incident: found for incident, found in derived.items() if incident not in gold},
        )

    def columns(self, origin: Origin) -> list[int]:
        """The columns of the annotators of one origin."""
        return [i for i, annotator in enumerate(self.annotators) if annotator.origin == origin]

    def count(self, column: int) -> int:
        """How many incidents an annotator labelled."""
        return sum(row[column] is not None for row in self.rows)

    def both(self, first: int, second: int) -> LabelPairs:
        """The labels of two annotators on the incidents that both labelled."""
        pairs = ((row[first], row[second]) for row in self.rows)
        return [(a, b) for a, b in pairs if a is not None and b is not None]

    def with_gold(self, column: int, gold: dict[str, LabelSet]) -> LabelPairs:
        """The gold labels and those of one annotator on the incidents that have both."""
        rows = zip(self.incidents, self.rows, strict=True)
        return [(gold[incident], row[column] or ()) for incident, row in rows if incident in gold and row[column]]

    def of_columns(self, columns: Sequence[int]) -> list[tuple[LabelSet | None, ...]]:
        """The rows of some annotators."""
        return [tuple(row[column] for column in columns) for row in self.rows]

    def overlap(self, columns: Sequence[int]) -> int:
        """How many incidents at least two of the annotators labelled."""
        return sum(sum(labels is not None for labels in row) > 1 for row in self.of_columns(columns))


def pairs_of(columns: Sequence[int]) -> list[tuple[int, int]]:
    """All pairs of columns."""
    return list(combinations(columns, 2))


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
