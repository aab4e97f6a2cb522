from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.render.quantities import duration, percent, plural


@pytest.mark.parametrize(
    ("minutes", "told"),
    [
        (0, "0 s"),
        (0.25 / 60, "250 ms"),
        (0.9999 / 60, "1 s"),
        (4.2 / 60, "4.2 s"),
        (59.4 / 60, "59 s"),
        (59.9 / 60, "1 min"),
        (1.5, "1.5 min"),
        (59.4, "59 min"),
        (59.6, "1 h"),
        (65, "1 h 05 min"),
        (150, "2 h 30 min"),
        (1_439.6, "1 d"),
        (2_999, "2 d 2 h"),
        (14_399, "10 d"),
        (1.5e8, "104,167 d"),
        (None, ""),
    ],
)
def test_durations_are_told_in_the_units_that_people_use(minutes: float | None, told: str) -> None:
    assert duration(minutes) == told


@given(st.floats(1e-6, 1 - 1e-6))
def test_what_is_not_certain_is_never_written_as_certain(share: float) -> None:
    assert percent(share) not in {"0%", "0.0%", "100%", "10.0%", ""}


def test_a_small_share_keeps_a_digit_and_certainty_is_said() -> None:
    shares = (0, 0.0004, 0.034, 0.1, 0.874, 0.995, 1, None)
    assert [percent(share) for share in shares] == ["0%", "<0.1%", "3.4%", "10%", "87%", ">99%", "100%", ""]


def test_a_count_has_the_noun_in_its_number() -> None:
    assert [plural(n, "incident") for n in (0, 1, 1_200)] == ["0 incidents", "1 incident", "1,200 incidents"]
    assert plural(2, "category", "categories") == "2 categories"
