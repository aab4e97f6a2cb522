"""Incidents by month, and the months at which their number or a label's share changed for good."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from datetime import UTC
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from triage.study.corpus import Corpus, Record, counted, ids

SHORTEST = 3
"""Months on either side of a change."""
FEWEST = 20
"""Incidents below which no change is looked for."""
SHUFFLES = 1999
LEVEL = 0.05

Floats = NDArray[np.float64]


class Month(BaseModel, frozen=True):
    """The incidents that began in one month (`YYYY-MM`, UTC)."""

    month: str
    incident_ids: tuple[str, ...]


class Change(BaseModel, frozen=True):
    """From `month` on a series ran at another level. `before` and `after` are incidents a month, or shares."""

    month: str
    before: float
    after: float
    p: float


class Trend(BaseModel, frozen=True):
    """A series by month. `what` is `all incidents`, or a label of `facet` whose share of the incidents is followed.

    `p` is that of the likeliest change, before any correction; `adjusted` is corrected for the number of series looked
    at (Holm). Both are None where there are too few months or incidents to look.
    """

    facet: str | None
    what: str
    months: tuple[Month, ...]
    p: float | None = None
    adjusted: float | None = None
    change: Change | None = None


class _Found(NamedTuple):
    at: int
    p: float


def trends(corpus: Corpus, *, shuffles: int = SHUFFLES, seed: int = 0) -> list[Trend]:
    """The number of incidents, and the share of each label of the facets that others refine (else of the first).

    Of a series at most one change is told: that whose adjusted p-value is at most `LEVEL`.
    """
    dated = sorted((r for r in corpus.records if r.incident.started_at is not None), key=_began)
    if not dated:
        return []
    months = _months(dated)
    of = {month: [record for record in dated if _month(record) == month] for month in months}
    counts = np.array([len(of[month]) for month in months], dtype=np.float64)
    series = [_of_counts(months, of, counts, shuffles, seed)]
    parents = {facet.parent for facet in corpus.taxonomy.facets} - {None}
    for facet in [f for f in corpus.taxonomy.facets if f.id in parents] or corpus.taxonomy.facets[:1]:
        for label in facet.ids:
            has = {month: [r for r in of[month] if label in counted(facet, r.labels)] for month in months}
            hits = np.array([len(has[month]) for month in months], dtype=np.float64)
            if hits.sum():
                series.append(_of_share(facet.id, label, months, has, hits, counts, shuffles, seed))
    return _corrected(series)


def change_in_counts(counts: Floats, exposure: Floats, shuffles: int = SHUFFLES, seed: int = 0) -> _Found | None:
    """The likeliest change of a rate, with its p-value; None where there is too little to look at.

    The statistic is the largest likelihood ratio over all months, of two Poisson rates against one. With one rate and
    the total given, incidents fall into months in proportion to `exposure`; the p-value is the share of such random
    corpora whose largest ratio is as large.
    """
    if counts.size < 2 * SHORTEST or counts.sum() < FEWEST:
        return None
    drawn = np.random.default_rng(seed).multinomial(int(counts.sum()), exposure / exposure.sum(), size=shuffles)
    return _tested(counts, drawn.astype(np.float64), lambda rows: _poisson_ratios(rows, exposure))


def change_in_share(hits: Floats, counts: Floats, shuffles: int = SHUFFLES, seed: int = 0) -> _Found | None:
    """The likeliest change of a share; as `change_in_counts`, with labels shuffled among the incidents (a permutation).

    The statistic is the largest likelihood ratio of two binomial shares against one.
    """
    if counts.size < 2 * SHORTEST or counts.sum() < FEWEST or hits.sum() in (0, counts.sum()):
        return None
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(
        counts.astype(np.int64), int(hits.sum()), size=shuffles
    )
    return _tested(hits, drawn.astype(np.float64), lambda rows: _binomial_ratios(rows, counts))


def _tested(seen: Floats, drawn: Floats, ratios: Callable[[Floats], Floats]) -> _Found:
    mine = ratios(seen[None, :])[0]
    largest = ratios(drawn).max(axis=1)
    # A corpus drawn at random may give the very same ratio, up to rounding.
    p = (1 + int((largest >= mine.max() - 1e-9).sum())) / (1 + len(drawn))
    return _Found(int(mine.argmax()) + SHORTEST, p)


def _poisson_ratios(rows: Floats, exposure: Floats) -> Floats:
    before, after = _split(rows)
    first, second = _split(exposure[None, :])
    total = rows.sum(axis=1, keepdims=True)
    return _times_log(before, first) + _times_log(after, second) - _times_log(total, exposure.sum()[None, None])


def _binomial_ratios(rows: Floats, counts: Floats) -> Floats:
    before, after = _split(rows)
    first, second = _split(counts[None, :])
    total, n = rows.sum(axis=1, keepdims=True), counts.sum()[None, None]
    found: Floats = _binomial(before, first) + _binomial(after, second) - _binomial(total, n)
    return found


def _binomial(hits: Floats, n: Floats) -> Floats:
    return _times_log(hits, n) + _times_log(n - hits, n)


def _split(rows: Floats) -> tuple[Floats, Floats]:
    """Sums before and from each month on at which a change may be."""
    before = rows.cumsum(axis=1)[:, SHORTEST - 1 : rows.shape[1] - SHORTEST]
    return before, rows.sum(axis=1, keepdims=True) - before


def _times_log(number: Floats, per: Floats) -> Floats:
    """`number * log(number / per)`, 0 where the number is 0."""
    number, per = np.broadcast_arrays(number, per)
    quotient = np.divide(number, per, out=np.ones_like(number), where=(number > 0) & (per > 0))
    return number * np.log(quotient)


def _of_counts(months: Sequence[str], of: dict[str, list[Record]], counts: Floats, shuffles: int, seed: int) -> Trend:
    days = np.array([_days(month) for month in months], dtype=np.float64)
    found = change_in_counts(counts, days, shuffles, seed)
    change = found and Change(
        month=months[found.at],
        before=float(counts[: found.at].mean()),
        after=float(counts[found.at :].mean()),
        p=found.p,
    )
    return Trend(
        facet=None, what="all incidents", months=_told(months, of), p=found.p if found else None, change=change or None
    )


def _of_share(
    facet: str,
    label: str,
    months: Sequence[str],
    has: dict[str, list[Record]],
    hits: Floats,
    counts: Floats,
    shuffles: int,
    seed: int,
) -> Trend:
    found = change_in_share(hits, counts, shuffles, seed)
    change = None
    if found is not None and counts[: found.at].sum() and counts[found.at :].sum():
        change = Change(
            month=months[found.at],
            before=float(hits[: found.at].sum() / counts[: found.at].sum()),
            after=float(hits[found.at :].sum() / counts[found.at :].sum()),
            p=found.p,
        )
    return Trend(facet=facet, what=label, months=_told(months, has), p=found.p if found else None, change=change)


def _corrected(series: Sequence[Trend]) -> list[Trend]:
    """S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6 (1979)."""
    tested = sorted((one.p, place) for place, one in enumerate(series) if one.p is not None)
    adjusted: dict[int, float] = {}
    highest = 0.0
    for rank, (p, place) in enumerate(tested):
        highest = max(highest, min(1.0, p * (len(tested) - rank)))
        adjusted[place] = highest
    return [
        one.model_copy(
            update={
                "adjusted": adjusted.get(place),
                "change": one.change if adjusted.get(place, 1.0) <= LEVEL else None,
            }
        )
        for place, one in enumerate(series)
    ]


def _told(months: Sequence[str], of: dict[str, list[Record]]) -> tuple[Month, ...]:
    return tuple(Month(month=month, incident_ids=ids(of[month])) for month in months)


def _months(dated: Sequence[Record]) -> list[str]:
    """Every month from the first incident to the last, those without an incident too."""
    (year, month), last = map(int, _month(dated[0]).split("-")), _month(dated[-1])
    found = [f"{year:04}-{month:02}"]
    while found[-1] < last:
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
        found.append(f"{year:04}-{month:02}")
    return found


def _days(month: str) -> int:
    year, number = map(int, month.split("-"))
    return calendar.monthrange(year, number)[1]


def _month(record: Record) -> str:
    started = record.incident.started_at
    return "" if started is None else f"{started.astimezone(UTC):%Y-%m}"


def _began(record: Record) -> str:
    started = record.incident.started_at
    return "" if started is None else started.astimezone(UTC).isoformat()
