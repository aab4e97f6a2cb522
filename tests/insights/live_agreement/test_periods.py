"""Over time: weeks and months, and gaps where little was labelled."""

from __future__ import annotations

import itertools
from datetime import date, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from triage.insights.live_agreement.judgements import Selection
from triage.insights.live_agreement.periods import LEAST, MOST, By, over_time, start_of
from triage.store import Judgement

from .judgements import FACET, NOW, judgement, judgements

ALL = Selection(days=None)
TODAY = NOW.date()


@settings(deadline=None, max_examples=40)
@given(judgements(), st.sampled_from(["week", "month"]))
def test_every_label_counts_in_the_one_period_that_holds_its_day(judged: list[Judgement], by: By) -> None:
    periods = over_time(FACET, judged, ALL, by, TODAY)
    with_model = ALL.with_model(judged)

    assert sum(one.model.n for one in periods) == len(with_model)
    for one in periods:
        assert one.start == start_of(one.start, by)
        assert one.model.n == sum(start_of(each.given_at.date(), by) == one.start for each in with_model)
        if one.model.n < LEAST:
            assert one.model.value is None
    for before, after in itertools.pairwise(periods):
        assert start_of(after.start - timedelta(days=1), by) == before.start
    if periods:
        assert periods[-1].start == start_of(TODAY, by)


@given(st.dates(date(2000, 1, 1), date(2100, 1, 1)), st.sampled_from(["week", "month"]))
def test_a_period_begins_on_a_monday_or_on_a_first(day: date, by: By) -> None:
    start = start_of(day, by)
    assert start <= day
    assert start.day == 1 if by == "month" else start.weekday() == 0
    assert start_of(start, by) == start


def test_a_week_with_few_labels_is_a_gap_that_says_so() -> None:
    judged = [judgement(f"now{n}", "bug" if n % 2 else "usage", "bug" if n % 3 else "usage") for n in range(12)]
    judged += [judgement(f"then{n}", "bug", "bug", days_ago=14) for n in range(LEAST - 1)]
    first, second, third = over_time(FACET, judged, ALL, "week", TODAY)

    assert (first.model.n, first.model.undefined) == (LEAST - 1, "fewer than 10 labels")
    assert (second.model.n, second.model.value) == (0, None)
    assert third.model.value is not None
    assert third.model.interval is not None


def test_people_agree_in_the_period_in_which_the_second_of_them_labelled() -> None:
    judged = [judgement(f"i{n}", "bug" if n % 2 else "usage", None, by="bo", days_ago=1) for n in range(12)]
    judged += [judgement(f"i{n}", "bug" if n % 3 else "usage", None, days_ago=20) for n in range(12)]
    (only,) = over_time(FACET, judged, ALL, "week", TODAY)

    assert only.start == start_of((NOW - timedelta(days=1)).date(), "week")
    assert only.people.n == 12
    assert only.people.value is not None
    assert only.model.n == 0
    alone = over_time(FACET, judged, ALL._replace(annotator="dan"), "week", TODAY)
    assert alone[-1].people.undefined == "dan labelled none of them"


def test_only_the_newest_periods_are_told() -> None:
    judged = [judgement("now", "bug", "bug"), judgement("then", "bug", "bug", days_ago=7 * (MOST + 10))]
    periods = over_time(FACET, judged, ALL, "week", TODAY)

    assert len(periods) == MOST
    assert periods[-1].start == start_of(TODAY, "week")
    assert over_time(FACET, [], ALL, "week", TODAY) == ()
