"""Incidents by month: their number, the shares of their labels, and lasting changes."""

from __future__ import annotations

import calendar
import itertools
from collections.abc import Iterable, Sequence
from datetime import UTC
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from triage.domain.taxonomy import Facet, Taxonomy
from triage.insights.study.change_points import DRAWS, FEWEST, Changes, Kind, Series, find_changes
from triage.insights.study.corpus import Corpus, Record, counted, ids, tells, undisclosed

LEVEL = 0.05
"""The highest probability of reporting a change in a corpus without changes."""
_DAYS_A_MONTH = 365.25 / 12


class Month(BaseModel, frozen=True):
    """The `n` incidents that began in a month (`YYYY-MM`, UTC), out of `of` with a disclosed label of the facet."""

    month: str
    n: int
    of: int
    incident_ids: tuple[str, ...]


class Level(BaseModel, frozen=True):
    """The `value` of a series from the month `first` to `last`: incidents per month, or a share."""

    first: str
    last: str
    value: float | None


class Change(BaseModel, frozen=True):
    """A change of level in `month`; `earliest` to `latest` has 95% of the likelihood."""

    month: str
    earliest: str
    latest: str
    before: float | None
    after: float | None


class Course(BaseModel, frozen=True):
    """The `levels` of a series and the changes between them; without changes there is one level.

    `p` is for any change at all; `adjusted` is `p` times the number of tested series (Bonferroni). Changes are reported
    if it passes `LEVEL`.
    """

    p: float
    adjusted: float
    levels: tuple[Level, ...]
    changes: tuple[Change, ...]


class Trend(BaseModel, frozen=True):
    """A monthly series of `all incidents`, or of a label of `facet`, as named by `what`.

    `number` is the course of the number of incidents, `share` that of the label's share among incidents with a
    disclosed label; None if there is too little data.
    """

    facet: str | None
    what: str
    months: tuple[Month, ...]
    number: Course | None = None
    share: Course | None = None

    @property
    def n(self) -> int:
        """The number of incidents in all months."""
        return sum(month.n for month in self.months)


class _Followed(NamedTuple):
    """A trend before the search for changes."""

    facet: str | None
    what: str
    hits: Sequence[Sequence[Record]]
    of: Sequence[int]


def trends(corpus: Corpus, *, draws: int = DRAWS, seed: int = 0) -> list[Trend]:
    """All incidents, and each label of the facets that refine each other (else of the first labelled facet).

    Empty if no start is known. Changes are searched in series with at least `FEWEST` incidents.
    """
    dated = [(started.astimezone(UTC), record) for record in corpus.records if (started := record.incident.started_at)]
    if not dated:
        return []
    by_month: dict[str, list[Record]] = {}
    for began, record in sorted(dated, key=lambda pair: pair[0]):
        by_month.setdefault(began.isoformat()[:7], []).append(record)
    months = _months(min(by_month), max(by_month))
    records = [by_month.get(month, []) for month in months]
    followed = [_Followed(None, "all incidents", records, [len(each) for each in records])]
    for facet in _followed_facets(corpus.taxonomy, [record for _, record in dated]):
        followed += _of_facet(facet, records)
    return _search(months, followed, draws, seed)


def _followed_facets(taxonomy: Taxonomy, records: Iterable[Record]) -> list[Facet]:
    """The labelled facets with a parent or child facet; if there are none, the first labelled facet."""
    given = {facet for record in records for facet, labels in record.labels.items() if labels}
    labelled = [facet for facet in taxonomy.facets if facet.id in given]
    parents = {facet.parent for facet in taxonomy.facets if facet.parent is not None}
    return [facet for facet in labelled if facet.parent is not None or facet.id in parents] or labelled[:1]


def _of_facet(facet: Facet, records: Sequence[Sequence[Record]]) -> list[_Followed]:
    disclosed = [[record for record in month if tells(facet, record)] for month in records]
    of = [len(month) for month in disclosed]
    hits: dict[str, list[list[Record]]] = {
        label: [[] for _ in records] for label in facet.ids if label not in undisclosed(facet)
    }
    for place, month in enumerate(disclosed):
        for record in month:
            for label in counted(facet, record.labels):
                if label in hits:
                    hits[label][place].append(record)
    return [_Followed(facet.id, label, months, of) for label, months in hits.items() if any(months)]


def _search(months: Sequence[str], followed: Sequence[_Followed], draws: int, seed: int) -> list[Trend]:
    days = np.array([calendar.monthrange(*map(int, month.split("-")))[1] for month in months])
    series: list[tuple[int, Kind, Series]] = []
    for place, series_of in enumerate(followed):
        hits = np.array([len(records) for records in series_of.hits])
        series.append((place, "rate", Series(hits, days, "rate")))
        if series_of.facet is not None:
            series.append((place, "share", Series(hits, np.array(series_of.of), "share")))
    tested = [(place, kind, each) for place, kind, each in series if each.is_testable and each.hits.sum() >= FEWEST]
    courses: dict[tuple[int, str], Course] = {}
    for place, kind, each in tested:
        changes = find_changes(each, level=LEVEL / len(tested), draws=draws, seed=seed)
        if changes is not None:
            courses[place, kind] = _course(months, each, changes, len(tested))
    return [
        Trend(
            facet=series_of.facet,
            what=series_of.what,
            months=tuple(
                Month(month=month, n=len(hits), of=of, incident_ids=ids(hits))
                for month, hits, of in zip(months, series_of.hits, series_of.of, strict=True)
            ),
            number=courses.get((place, "rate")),
            share=courses.get((place, "share")),
        )
        for place, series_of in enumerate(followed)
    ]


def _course(months: Sequence[str], series: Series, result: Changes, tested: int) -> Course:
    ends = [0, *(place.at for place in result.places), len(months)]
    levels = tuple(
        Level(first=months[start], last=months[end - 1], value=_value(series.part(start, end)))
        for start, end in itertools.pairwise(ends)
    )
    changes = tuple(
        Change(
            month=months[place.at],
            earliest=months[place.earliest],
            latest=months[place.latest],
            before=before.value,
            after=after.value,
        )
        for place, (before, after) in zip(result.places, itertools.pairwise(levels), strict=True)
    )
    return Course(p=result.p, adjusted=min(1.0, result.p * tested), levels=levels, changes=changes)


def _value(part: Series) -> float | None:
    hits, weight = int(part.hits.sum()), int(part.weights.sum())
    return hits * (_DAYS_A_MONTH if part.kind == "rate" else 1.0) / weight if weight else None


def _months(first: str, last: str) -> list[str]:
    start, end = (12 * int(month[:4]) + int(month[5:]) - 1 for month in (first, last))
    return [f"{number // 12:04}-{number % 12 + 1:02}" for number in range(start, end + 1)]
