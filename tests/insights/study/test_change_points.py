"""Change points: found where there are some, told as rarely as stated where there are none or no more."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.insights.study.change_points import SHORTEST, Changes, Series, find_changes

LEVEL = 0.05
DRAWS = 199
"""Random orders at most in simulations: a p-value of few orders keeps its level too, and takes less time."""


def rate(counts: list[int]) -> Series:
    """Counts of months of equal length."""
    return Series(np.array(counts), np.full(len(counts), 30), "rate")


def ats(found: Changes | None) -> list[int]:
    """Where changes were found."""
    return [place.at for place in found.places] if found else []


def too_many(means: list[float], changes: int, *, runs: int, spread: float = 1.0) -> int:
    """In how many of `runs` simulated series more than so many changes are told; `spread` is variance over mean."""
    lots = np.random.default_rng(7)
    said = 0
    for seed in range(runs):
        rates = np.array(means) if spread == 1 else lots.gamma(np.array(means) / (spread - 1), spread - 1)
        found = find_changes(rate(lots.poisson(rates).tolist()), level=LEVEL, draws=DRAWS, seed=seed)
        said += len(ats(found)) > changes
    return said


def test_one_change_is_found_where_it_is() -> None:
    found = find_changes(rate([2] * 12 + [6] * 12))
    assert ats(found) == [12]
    assert found is not None
    assert found.p < 0.01
    assert found.places[0].earliest <= 12 <= found.places[0].latest


def test_a_rise_that_ends_is_two_changes_though_no_single_one_fits() -> None:
    assert ats(find_changes(rate([2] * 15 + [9] * 5 + [2] * 15))) == [15, 20]


def test_three_changes_are_found() -> None:
    assert ats(find_changes(rate([2] * 12 + [9] * 12 + [2] * 12 + [9] * 12))) == [12, 24, 36]


def test_a_share_that_rises_is_found_though_the_number_stays() -> None:
    found = find_changes(Series(np.array([0] * 10 + [3] * 14), np.full(24, 5), "share"))
    assert ats(found) == [10]


def test_one_month_alone_is_no_level() -> None:
    assert ats(find_changes(rate([2] * 15 + [40] + [2] * 15))) == []


def test_too_little_is_not_looked_at() -> None:
    assert find_changes(rate([9] * (2 * SHORTEST - 1))) is None
    assert find_changes(rate([1] * 12)) is None
    assert find_changes(Series(np.full(24, 5), np.full(24, 5), "share")) is None


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 12), min_size=6, max_size=40), st.integers(0, 3))
def test_levels_are_never_shorter_than_said_and_intervals_hold_their_place(counts: list[int], seed: int) -> None:
    found = find_changes(rate(counts), seed=seed, draws=199)
    assert found == find_changes(rate(counts), seed=seed, draws=199)
    ends = [0, *ats(found), len(counts)]
    assert not ats(found) or all(after - before >= SHORTEST for before, after in itertools.pairwise(ends))
    for place in found.places if found else ():
        assert place.earliest <= place.at <= place.latest


# Binomial(200, 0.05) exceeds 18 with a probability below 0.01. evals/bench/change_points.py looks at more.


def test_chance_alone_is_called_a_change_as_rarely_as_said() -> None:
    assert too_many([3.0] * 24, 0, runs=200) <= 18


@pytest.mark.slow
@pytest.mark.parametrize("spread", [1.0, 2.0])
@pytest.mark.parametrize(
    ("means", "changes"),
    [
        ([4.0] * 36, 0),
        ([3.0] * 18 + [9.0] * 18, 1),
        ([3.0] * 12 + [9.0] * 12 + [3.0] * 12, 2),
        ([2.0] * 12 + [9.0] * 12 + [2.0] * 12 + [9.0] * 12, 3),
    ],
)
def test_more_changes_than_there_are_are_told_as_rarely_as_said(
    means: list[float], changes: int, spread: float
) -> None:
    # Binomial(100, 0.05) exceeds 11 with a probability below 0.01.
    assert too_many(means, changes, runs=100, spread=spread) <= 11


@pytest.mark.slow
@pytest.mark.parametrize("per_month", [[8] * 36, [2] * 18 + [20] * 18])
def test_a_share_that_stays_is_said_to_stay_though_the_number_changes(per_month: list[int]) -> None:
    lots = np.random.default_rng(3)
    told = 0
    for seed in range(200):
        of = lots.poisson(per_month)
        found = find_changes(Series(lots.binomial(of, 0.3), of, "share"), level=LEVEL, draws=DRAWS, seed=seed)
        told += bool(ats(found))
    assert told <= 18
