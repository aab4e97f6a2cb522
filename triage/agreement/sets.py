"""Agreement on facets that take several labels: per-label kappa and the mean Jaccard index of the label sets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Unpack

import numpy as np
from pydantic import BaseModel, Field

from triage.agreement.confusion import Confusion, LabelScore
from triage.agreement.interval import Floats, Interval, Resampling, bootstrap, shown
from triage.agreement.kappa import Kappa, kappa_of


class LabelAgreement(BaseModel, frozen=True):
    """Agreement on whether one label applies: Cohen's kappa of present against absent, and the usual scores."""

    label: str
    kappa: Kappa
    score: LabelScore


class SetAgreement(BaseModel, frozen=True):
    """Agreement of two labellings that give each incident a set of labels.

    `jaccard` is the mean over incidents of |A and B| / |A or B| (Jaccard 1901), 1 where both sets are empty; `exact`
    the share of incidents with equal sets; `mean_kappa` the unweighted mean of the defined per-label kappas. Without
    incidents they are None and `undefined` says so.
    """

    n: int = Field(ge=0)
    jaccard: float | None = None
    jaccard_interval: Interval | None = None
    exact: float | None = None
    mean_kappa: float | None = None
    labels: tuple[LabelAgreement, ...] = ()
    undefined: str | None = None

    def __str__(self) -> str:
        return shown(self.jaccard, self.jaccard_interval, self.undefined)


def compare_sets(
    gold: Sequence[Collection[str]],
    predicted: Sequence[Collection[str]],
    labels: Iterable[str] = (),
    **options: Unpack[Resampling],
) -> SetAgreement:
    """Compare two labellings with any number of labels per incident. `labels` fixes the order of the report.

    >>> compare_sets([{"a", "b"}, {"a"}], [{"a"}, {"a"}], resamples=0).jaccard
    0.75
    """
    if len(gold) != len(predicted):
        raise ValueError(f"the two labellings differ in length: {len(gold)} and {len(predicted)}")
    if not gold:
        return SetAgreement(n=0, undefined="there is nothing to compare")
    first = [set(one) for one in gold]
    second = [set(one) for one in predicted]
    overlap = np.array([len(a & b) / len(a | b) if a | b else 1.0 for a, b in zip(first, second, strict=True)])
    values, times = np.unique(overlap, return_counts=True)

    def mean(draws: Floats) -> Floats:
        shares: Floats = draws @ values / draws.sum(axis=1)
        return shares

    interval = bootstrap(mean, times, **options)
    named = list(dict.fromkeys(labels))
    names = (*named, *sorted(set().union(*first, *second) - set(named)))
    each = tuple(_on_label(name, first, second, options) for name in names)
    defined = [one.kappa.value for one in each if one.kappa.value is not None]
    return SetAgreement(
        n=len(first),
        jaccard=float(overlap.mean()),
        jaccard_interval=interval,
        exact=float(np.mean([a == b for a, b in zip(first, second, strict=True)])),
        mean_kappa=float(np.mean(defined)) if defined else None,
        labels=each,
    )


def _on_label(label: str, gold: list[set[str]], predicted: list[set[str]], options: Resampling) -> LabelAgreement:
    absent = f"not {label}"
    confusion = Confusion.of(
        [label if label in one else absent for one in gold],
        [label if label in one else absent for one in predicted],
        labels=(label, absent),
    )
    kappa = kappa_of(confusion, **options)
    return LabelAgreement(label=label, kappa=kappa, score=confusion.scores()[0])
