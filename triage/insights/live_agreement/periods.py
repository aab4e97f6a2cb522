"""Agreement over time: by week or month, without a figure where labels are too few."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from triage.agreement import Kappa, MeanAgreement
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.judgements import RESAMPLES, Selection, ceiling, ratings_of
from triage.insights.live_agreement.watch import kappa_with_model
from triage.store import Judgement

By = Literal["week", "month"]

LEAST = 10
"""The fewest labels, or incidents of two people, for a figure of a period."""
MOST = 60
"""The most periods, the newest."""


class Period(NamedTuple):
    """A week from its Monday, or a month from its first day, in UTC.

    `model` covers labels that people gave in it, `people` incidents that a second person labelled in it.
    """

    start: date
    model: Kappa
    people: MeanAgreement


def over_time(
    facet: Facet, judged: Sequence[Judgement], selection: Selection, by: By, until: date
) -> tuple[Period, ...]:
    """The periods from the first judgement to the day `until`, oldest first. `judged` are newest first."""
    with_model = _by_period(((judgement.given_at, judgement) for judgement in selection.with_model(judged)), by)
    together = _by_period(_with_second(selection.of(judged)), by)
    first = min((*with_model, *together), default=None)
    if first is None:
        return ()
    starts = list(_starts(first, until, by))[-MOST:]
    return tuple(
        Period(
            start,
            _with_model(facet, with_model.get(start, [])),
            _among_people(facet, together.get(start, []), selection.annotator),
        )
        for start in starts
    )


def start_of(moment: date, by: By) -> date:
    """The first day of the period with this day.

    >>> start_of(date(2026, 3, 1), "week").isoformat(), start_of(date(2026, 3, 31), "month").isoformat()
    ('2026-02-23', '2026-03-01')
    """
    return moment.replace(day=1) if by == "month" else moment - timedelta(days=moment.weekday())


def _starts(first: date, until: date, by: By) -> Iterator[date]:
    start = first
    while start <= until:
        yield start
        # 32 days after the first of a month is in the next month.
        start = start_of(start + timedelta(days=32 if by == "month" else 7), by)


def _by_period(moments: Iterator[tuple[datetime, Judgement]], by: By) -> dict[date, list[Judgement]]:
    by_start: dict[date, list[Judgement]] = {}
    for moment, judgement in moments:
        by_start.setdefault(start_of(moment.date(), by), []).append(judgement)
    return by_start


def _with_second(judged: Sequence[Judgement]) -> Iterator[tuple[datetime, Judgement]]:
    """The judgements of incidents that at least two people labelled, each with the time of the second one."""
    by_incident: dict[str, list[Judgement]] = {}
    for judgement in judged:
        by_incident.setdefault(judgement.incident_id, []).append(judgement)
    for of_incident in by_incident.values():
        if len(of_incident) > 1:
            second = sorted(judgement.given_at for judgement in of_incident)[1]
            yield from ((second, judgement) for judgement in of_incident)


def _with_model(facet: Facet, judged: Sequence[Judgement]) -> Kappa:
    if len(judged) < LEAST:
        return Kappa(value=None, n=len(judged), undefined=f"fewer than {LEAST} labels")
    return kappa_with_model(facet, judged)


def _among_people(facet: Facet, judged: Sequence[Judgement], person: str | None) -> MeanAgreement:
    ratings = ratings_of(judged, person)
    n = len(ratings.incidents)
    if n < LEAST:
        return MeanAgreement(value=None, pairs=0, n=n, undefined=f"fewer than {LEAST} incidents of two people")
    return ceiling(facet, ratings, person, "labelled none of them", resamples=RESAMPLES)
