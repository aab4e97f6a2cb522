from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.agreement import (
    accuracy_at,
    calibration_error_by_chance,
    expected_calibration_error,
    reliability,
    risk_coverage,
)

outcomes = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200)


def test_probabilities_that_come_true_have_no_error() -> None:
    stated = [0.25] * 40 + [0.75] * 40
    right = [True] * 10 + [False] * 30 + [True] * 30 + [False] * 10

    assert expected_calibration_error(stated, right, bins=2) == pytest.approx(0)


def test_the_error_is_the_distance_between_stated_and_right() -> None:
    # The one bin states 0.9 on average and is right in half of the cases.
    assert expected_calibration_error([0.9] * 20, [True, False] * 10) == pytest.approx(0.4)


def test_few_cases_show_an_error_even_where_every_probability_is_true() -> None:
    few, many = (calibration_error_by_chance([0.5] * n) for n in (20, 2_000))

    assert few is not None
    assert many is not None
    assert few > 0.05 > many
    assert calibration_error_by_chance([]) is None


def test_without_cases_there_is_no_error_to_tell() -> None:
    assert expected_calibration_error([], []) is None
    assert risk_coverage([], []) == []
    assert accuracy_at([], 0.5) is None


def test_lists_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="don't belong together"):
        reliability([0.5], [])


@given(outcomes)
def test_every_case_is_in_one_bin_and_no_bin_is_small_where_there_are_enough(cases: list[tuple[float, bool]]) -> None:
    bins = reliability([p for p, _ in cases], [r for _, r in cases])

    assert sum(b.n for b in bins) == len(cases)
    assert all(b.n >= 15 for b in bins) or len(bins) == 1
    assert [b.stated for b in bins] == pytest.approx(sorted(b.stated for b in bins))


@given(outcomes)
def test_the_curve_ends_with_all_cases_at_their_accuracy(cases: list[tuple[float, bool]]) -> None:
    curve = risk_coverage([p for p, _ in cases], [r for _, r in cases])

    assert curve[-1].coverage == 1
    assert curve[-1].accuracy == pytest.approx(sum(r for _, r in cases) / len(cases))
    assert [p.threshold for p in curve] == sorted({p for p, _ in cases}, reverse=True)


def test_answering_the_surest_half_is_read_off_the_curve() -> None:
    curve = risk_coverage([0.9, 0.8, 0.4, 0.3], [True, True, False, True])

    assert accuracy_at(curve, 0.5) == 1
    assert accuracy_at(curve, 1.0) == 0.75
