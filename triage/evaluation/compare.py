"""Two runs on the same cases: differences with intervals, McNemar's test, and the cases that changed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, Field

from triage.agreement.interval import RESAMPLES, Interval
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.journal import CaseRecord, finished
from triage.evaluation.metrics import ABSTAINED, default_metrics, find_metric
from triage.evaluation.runs import Run, rounds_of
from triage.evaluation.scores import Scores, interval_of

_Z_CONFIDENCE, _Z_POWER = 1.959964, 0.841621


class Difference(BaseModel, frozen=True):
    """A metric of two runs on the same cases: `value` is other minus base, with a paired bootstrap interval.

    `needed` is the number of such cases that would show a true difference of this size with a power of 80%; None if
    the difference is shown already, is 0, or has no interval.
    """

    metric: str
    base: float | None
    other: float | None
    value: float | None
    interval: Interval | None = None
    n: int = Field(ge=0)
    needed: int | None = None
    undefined: str | None = None

    @property
    def is_shown(self) -> bool:
        """True if the whole interval lies on one side of 0."""
        return self.interval is not None and (self.interval.low > 0 or self.interval.high < 0)

    @property
    def is_improvement(self) -> bool:
        """True if `other` is better, whether or not that is shown."""
        better = -1 if find_metric(self.metric)[0].is_less_better else 1
        return self.value is not None and self.value * better > 0

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.undefined})"
        interval = f" [{self.interval.low:+.2f}, {self.interval.high:+.2f}]" if self.interval else ""
        return f"{self.value:+.2f}{interval}"


class McNemar(BaseModel, frozen=True):
    """The cases of one facet on which exactly one of two runs is right, and the exact two-sided p-value of that split.

    Source: Q. McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12 (1947); exact binomial form. `p_holm` is adjusted for all tests of one comparison (S. Holm, A
    simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6, 1979).
    """

    facet: str
    only_base: int = Field(ge=0)
    only_other: int = Field(ge=0)
    p: float
    p_holm: float


class Change(BaseModel, frozen=True):
    """A case whose label differs between two runs, in one facet."""

    case_id: str
    facet: str
    gold: tuple[str, ...]
    base: tuple[str, ...]
    other: tuple[str, ...]
    verdict: Literal["better", "worse", "otherwise wrong"]


class Comparison(BaseModel, frozen=True):
    """Run `other` against run `base` on the `n` cases that both finished with the same gold labels."""

    base: str
    other: str
    n: int
    only_base: int
    only_other: int
    gold_differs: int
    settings: tuple[str, ...] = ()
    flips: float | None = None
    differences: tuple[Difference, ...]
    tests: tuple[McNemar, ...]
    changes: tuple[Change, ...]
    verdict: str


class Pair(NamedTuple):
    """Two runs on the cases `ids` that both finished, in every round, with the same gold labels.

    `first` and `second` are the finished cases of their first rounds; `shared` also counts cases whose gold differs.
    """

    base: Scores
    other: Scores
    ids: list[str]
    first: dict[str, CaseRecord]
    second: dict[str, CaseRecord]
    shared: int

    @classmethod
    def of(cls, base: Run, other: Run, taxonomy: Taxonomy) -> Pair:
        """The runs, each with its repeats."""
        before, after = ([finished(run.records) for run in rounds_of(one)] for one in (base, other))
        shared = [key for key in before[0] if all(key in records for records in (*before, *after))]
        ids = [key for key in shared if before[0][key].gold == after[0][key].gold]
        scores = Scores(before, taxonomy, ids, base.info.price), Scores(after, taxonomy, ids, other.info.price)
        return cls(*scores, ids, before[0], after[0], len(shared))

    def records(self, case_id: str) -> tuple[CaseRecord, CaseRecord]:
        """The records of a case in the first round of each run."""
        return self.first[case_id], self.second[case_id]

    @property
    def flips(self) -> float | None:
        """The larger share of labels that change between repeats of one of the runs; None without repeats."""
        shares = [one.measure("flips.share", resamples=0).value for one in (self.base, self.other)]
        return max((share for share in shares if share is not None), default=None)


def compare(
    base: Run, other: Run, taxonomy: Taxonomy, *, metrics: Sequence[str] = (), resamples: int = RESAMPLES, seed: int = 0
) -> Comparison:
    """Compare two runs by `metrics` (default: the suite's, or the default ones). The first decides the verdict."""
    pair = Pair.of(base, other, taxonomy)
    before, after, ids = pair.base, pair.other, pair.ids
    facets = [taxonomy.facet(name) for name in other.suite.facets if name in base.suite.facets]
    wanted = metrics or other.suite.metrics or default_metrics(facets)
    differences = tuple(difference(before, after, name, resamples=resamples, seed=seed) for name in wanted)
    changes = tuple(change for facet in facets for key in ids if (change := _change(*pair.records(key), facet.id)))
    return Comparison(
        base=base.folder.name,
        other=other.folder.name,
        n=len(ids),
        only_base=len(pair.first) - pair.shared,
        only_other=len(pair.second) - pair.shared,
        gold_differs=pair.shared - len(ids),
        settings=tuple(other.info.identity.differences(base.info.identity)),
        flips=pair.flips,
        differences=differences,
        tests=_tests([facet.id for facet in facets], [pair.records(key) for key in ids]),
        changes=changes,
        verdict=_verdict(differences[0], len(ids)) if differences else "There is no metric to compare.",
    )


def difference(base: Scores, other: Scores, metric: str, *, resamples: int = RESAMPLES, seed: int = 0) -> Difference:
    """Other minus base in one metric. Both need the same cases in the same order."""
    one, two = (scores.measure(metric, resamples=0) for scores in (base, other))
    values = {"metric": metric, "base": one.value, "other": two.value, "n": one.n}
    if one.value is None or two.value is None:
        return Difference(**values, value=None, undefined=one.undefined or two.undefined)
    value = two.value - one.value
    if one.is_exact or not resamples:
        return Difference(**values, value=value)
    drawn = np.concatenate(
        [
            other.values(metric, draws, theirs) - base.values(metric, draws, ours)
            for (draws, ours), (_, theirs) in zip(
                base.draws(resamples, seed), other.draws(resamples, seed), strict=True
            )
        ]
    )
    jackknives = other.without_one(metric), base.without_one(metric)
    interval = interval_of(
        find_metric(metric)[0],
        drawn,
        value,
        lambda: jackknives[0]() - jackknives[1](),
        max((u for u in (base.unseen(metric), other.unseen(metric)) if u is not None), default=None),
        limits=(-2.0, 2.0),
    )
    found = Difference(**values, value=value, interval=interval)
    if interval is None or found.is_shown:
        return found
    return found.model_copy(update={"needed": needed_for(value, interval, one.n)})


def needed_for(distance: float, interval: Interval, n: int) -> int | None:
    """The number of cases that would bring the interval to one side of a bar at `distance`, with a power of 80%.

    The half width shrinks with the root of n. None if the distance is 0, or if ten million cases would not do.
    """
    half = (interval.high - interval.low) / 2
    if half == 0 or abs(distance) < 1e-9:
        return None
    cases = n * (half / abs(distance) * (1 + _Z_POWER / _Z_CONFIDENCE)) ** 2
    return math.ceil(cases) if cases < 10_000_000 else None


def mcnemar(only_base: int, only_other: int) -> float:
    """The exact two-sided p-value of so uneven a split of the cases on which exactly one run is right.

    >>> round(mcnemar(1, 9), 4)
    0.0215
    """
    n, least = only_base + only_other, min(only_base, only_other)
    tail = sum(math.comb(n, k) for k in range(least + 1))
    return float(min(1.0, 2 * tail / 2**n))


def _tests(facets: Sequence[str], records: Sequence[tuple[CaseRecord, CaseRecord]]) -> tuple[McNemar, ...]:
    counts = []
    for facet in facets:
        pairs = [(_is_right(base, facet), _is_right(other, facet)) for base, other in records if base.gold.get(facet)]
        counts.append((facet, sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)))
    found = [mcnemar(a, b) for _, a, b in counts]
    adjusted = _holm(found)
    return tuple(
        McNemar(facet=facet, only_base=a, only_other=b, p=p, p_holm=holm)
        for (facet, a, b), p, holm in zip(counts, found, adjusted, strict=True)
    )


def _holm(found: Sequence[float]) -> list[float]:
    order = sorted(range(len(found)), key=lambda i: found[i])
    adjusted, highest = [0.0] * len(found), 0.0
    for rank, i in enumerate(order):
        highest = max(highest, min(1.0, found[i] * (len(found) - rank)))
        adjusted[i] = highest
    return adjusted


def _is_right(record: CaseRecord, facet: str) -> bool:
    return record.predicted.get(facet, ())[:1] == record.gold[facet][:1]


def _change(base: CaseRecord, other: CaseRecord, facet: str) -> Change | None:
    before, after = base.predicted.get(facet, ()), other.predicted.get(facet, ())
    if before == after or not base.gold.get(facet):
        return None
    was, now = _is_right(base, facet), _is_right(other, facet)
    return Change(
        case_id=base.case_id,
        facet=facet,
        gold=base.gold[facet],
        base=before or (ABSTAINED,),
        other=after or (ABSTAINED,),
        verdict="better" if now and not was else "worse" if was and not now else "otherwise wrong",
    )


def _verdict(first: Difference, n: int) -> str:
    if first.value is None:
        return f"{first.metric} can't be compared: {first.undefined}."
    if first.is_shown:
        way = "better" if first.is_improvement else "worse"
        return f"The other run is {way}: {first.metric} {first} on {n} cases."
    finding = f"No difference shown: {first.metric} {first} on {n} cases"
    if first.needed is not None:
        return f"{finding}. If it is truly {first.value:+.2f}, about {first.needed:,} such cases would show it."
    return f"{finding}, and so small a one can't be settled with any number of cases in reach."
