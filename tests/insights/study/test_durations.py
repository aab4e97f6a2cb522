"""Times with incidents whose end is not known: against examples worked by hand, and what must always hold."""

from __future__ import annotations

import itertools
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.insights.study.conftest import BEGIN, corpus, record
from triage.insights.study.durations import (
    Duration,
    group,
    groups,
    kaplan_meier,
    median_interval,
    quantiles_of,
    survival_quantile,
    time_to_mitigate,
)

# Weeks of remission under 6-mercaptopurine: E. A. Freireich et al., Blood 21 (1963), the textbooks' example.
ENDED = (6, 6, 6, 7, 10, 13, 16, 22, 23)
WENT_ON = (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
REMISSIONS = [Duration(t, True) for t in ENDED] + [Duration(t, False) for t in WENT_ON]

durations = st.lists(st.builds(Duration, st.integers(0, 30).map(float), st.booleans()), min_size=1, max_size=40)


def test_the_textbook_example_is_met() -> None:
    steps = kaplan_meier(REMISSIONS)
    # 18/21, then times 16/17, 14/15, 11/12, 10/11, 6/7 and 5/6: worked by hand.
    expected = {6: 0.857, 7: 0.807, 10: 0.753, 13: 0.690, 16: 0.627, 22: 0.538, 23: 0.448}
    assert {step.minutes: round(step.surviving, 3) for step in steps} == expected
    # Greenwood at 6: 0.857^2 * 3 / (21 * 18).
    assert steps[0].variance == pytest.approx((18 / 21) ** 2 * 3 / (21 * 18))
    assert survival_quantile(steps, 0.5) == 23
    # The lower end is the first time at which the log-log band holds a half; the band never falls below it.
    assert median_interval(steps) == (13, None)


def test_where_all_ended_the_estimate_is_the_share_that_lasts_longer() -> None:
    steps = kaplan_meier([Duration(t, True) for t in (1.0, 2.0, 2.0, 5.0)])
    assert [(step.minutes, step.surviving) for step in steps] == [(1.0, 0.75), (2.0, 0.25), (5.0, 0.0)]


@given(durations)
def test_the_share_that_lasts_longer_only_falls(found: list[Duration]) -> None:
    shares = [1.0, *(step.surviving for step in kaplan_meier(found))]
    assert all(0 <= later <= earlier for earlier, later in itertools.pairwise(shares))


@given(durations, st.integers(1, 100))
def test_knowing_of_one_more_that_goes_on_longer_shortens_nothing(found: list[Duration], more: int) -> None:
    before = survival_quantile(kaplan_meier(found), 0.5)
    after = survival_quantile(kaplan_meier([*found, Duration(30.0 + more, False)]), 0.5)
    assert after is None or (before is not None and after >= before)


@given(durations)
def test_the_median_lies_in_its_interval(found: list[Duration]) -> None:
    steps = kaplan_meier(found)
    middle, (low, high) = survival_quantile(steps, 0.5), median_interval(steps)
    if middle is not None:
        assert low is not None
        assert low <= middle
        assert high is None or middle <= high


def test_an_incident_without_an_end_is_open_until_the_last_that_is_known_of_it() -> None:
    open_one = record(1, {}, ttd=7).incident
    assert time_to_mitigate(open_one) == Duration(7, is_ended=False)
    assert time_to_mitigate(open_one, BEGIN + timedelta(minutes=90)) == Duration(90, is_ended=False)
    assert time_to_mitigate(record(2, {}).incident) is None


def test_nothing_is_told_of_few() -> None:
    few = [record(n, {"severity": ("high",)}, ttm=n + 1) for n in range(4)]
    assert group("ttm", "severity", "high", few).quantiles is None
    assert quantiles_of([Duration(1.0, True)] * 5) is not None


def test_every_incident_is_counted_once_in_its_group() -> None:
    records = [
        record(n, {"severity": ("high",)}, ttd=1 if n % 2 else None, ttm=9 if n % 3 else None) for n in range(12)
    ]
    for one in groups(corpus(records)):
        assert sorted(one.ended + one.open + one.unknown) == sorted(f"i{n}" for n in range(12))
