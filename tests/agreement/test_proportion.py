from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from triage.agreement.proportion import Proportion


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_that_of_statsmodels(drawn: tuple[int, int]) -> None:
    hits, n = drawn

    assert Proportion(hits=hits, n=n).interval == pytest.approx(proportion_confint(hits, n, method="wilson"), abs=1e-6)


def test_no_cases_have_no_share() -> None:
    assert str(Proportion(hits=0, n=0)) == "none"
