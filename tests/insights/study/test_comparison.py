"""One's own figures beside the published ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.insights.study.conftest import TAXONOMY, corpus, record
from triage.agreement.proportion import Proportion
from triage.insights.study import Roles, StudyOptions, make_study
from triage.insights.study.comparison import difference

QUICK = StudyOptions(draws=99, resamples=100)
ROLES = Roles.load(TAXONOMY)

shares = st.builds(
    lambda hits, more: Proportion(hits=hits, n=hits + more), st.integers(0, 60), st.integers(0, 60)
).filter(lambda one: one.n > 0)


def test_the_interval_of_a_difference_is_that_of_the_source() -> None:
    # Newcombe 1998, table II, method 10, example (a): 56/70 and 48/80.
    one, other = Proportion(hits=56, n=70), Proportion(hits=48, n=80)
    assert one.share is not None
    assert one.interval is not None
    assert other.share is not None
    assert other.interval is not None
    found = difference(one.share, one.interval, other.share, other.interval)
    assert found == pytest.approx((0.0524, 0.3339), abs=1e-4)


@given(shares, shares)
def test_a_difference_turns_its_sign_with_its_sides(one: Proportion, other: Proportion) -> None:
    if one.share is None or other.share is None or one.interval is None or other.interval is None:
        return
    there = difference(one.share, one.interval, other.share, other.interval)
    back = difference(other.share, other.interval, one.share, one.interval)
    assert there == pytest.approx((-back[1], -back[0]))
    assert there[0] <= one.share - other.share + 1e-12
    assert one.share - other.share <= there[1] + 1e-12


def test_a_share_like_the_published_one_does_not_differ_and_another_does() -> None:
    kinds = ["inference_engine"] * 60 + ["infrastructure"] * 20 + ["model_configuration"] * 16 + ["operational"] * 4
    made = make_study(corpus([record(n, {"category": (kind,)}) for n, kind in enumerate(kinds)]), ROLES, QUICK)
    beside = {one.published.id: one for one in made.comparison}
    assert not any(beside[kind].differs for kind in set(kinds))
    turned = make_study(corpus([record(n, {"category": ("operational",)}) for n in range(40)]), ROLES, QUICK)
    beside = {one.published.id: one for one in turned.comparison}
    assert beside["operational"].differs
    assert beside["inference_engine"].differs


def test_few_are_not_compared_and_the_reason_is_told() -> None:
    made = make_study(corpus([record(n, {"category": ("operational",)}) for n in range(9)]), ROLES, QUICK)
    beside = {one.published.id: one for one in made.comparison}
    assert beside["operational"].why_not == "only 9 incident(s) tell it, and it takes 10"
    assert beside["operational"].difference is None
    assert beside["timeout"].why_not == "no incident is labelled with it"
