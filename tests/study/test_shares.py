"""Shares, detection, mitigation and the time that automation would have saved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.study.conftest import TAXONOMY, by_lot, corpus, record
from triage.errors import InvalidInput
from triage.study import Roles
from triage.study.corpus import counted
from triage.study.distributions import distributions, simultaneous_interval
from triage.study.responses import detection_split, mitigation_study
from triage.taxonomy import Taxonomy, shipped

ROLES = Roles.load(TAXONOMY)
ULP = 1e-12


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 40))
def test_every_count_is_that_of_its_incidents(seed: int, count: int) -> None:
    made = by_lot(seed, count)
    labels = {one.id: one.labels for one in made.records}
    for found in distributions(made):
        facet = TAXONOMY.facet(found.facet)
        for share in found.shares:
            assert share.hits == len(share.incident_ids) == len(set(share.incident_ids))
            assert all(share.name in counted(facet, labels[key]) for key in share.incident_ids)
            assert share.interval is not None
            assert share.interval[0] - ULP <= (share.share or 0) <= share.interval[1] + ULP
            if share.simultaneous is not None:
                assert share.simultaneous[0] <= share.interval[0] + ULP
                assert share.simultaneous[1] >= share.interval[1] - ULP
        if found.is_exclusive:
            assert sum(share.hits for share in found.shares) + (found.silent.hits if found.silent else 0) == found.n


def test_one_part_alone_needs_no_wider_interval() -> None:
    # Wilson's interval of 19 of 20, as the docstring of Proportion has it.
    assert simultaneous_interval(19, 20, 1) == pytest.approx((0.764, 0.991), abs=5e-4)


def test_those_that_do_not_tell_are_left_out_of_the_split() -> None:
    said = ["automated"] * 3 + ["customer_reported"] + ["undisclosed"] * 6
    records = [
        record(n, {"category": ("operational",), "failure_mode": ("deployment",), "detection": (label,)})
        for n, label in enumerate(said)
    ]
    split = detection_split(corpus(records), ROLES.detection)
    assert split is not None
    assert (split.automated.hits, split.automated.n, split.silent.hits, split.silent.n) == (3, 4, 6, 10)
    gaps = {gap.facet: gap.shares for gap in split.gaps}
    assert [(share.name, share.incident_ids) for share in gaps["failure_mode"]] == [("deployment", ("i3",))]


def test_the_time_saved_is_what_exceeds_the_supposed_time() -> None:
    times = [10, 20, 30, 40, 100]
    records = [record(n, {"mitigation": ("restart",)}, ttm=t) for n, t in enumerate(times)]
    records.append(record(9, {"mitigation": ("restart", "hotfix")}, ttm=1000))
    found = mitigation_study(corpus(records), ROLES.mitigation)
    assert found is not None
    assert found.saved is not None
    assert (found.saved.minutes, found.saved.saved_minutes, found.saved.total_minutes) == (30, 80, 200)
    assert found.hotfix is not None
    assert found.hotfix.incident_ids == ("i9",)
    given_ = mitigation_study(corpus(records), ROLES.mitigation, automated_minutes=15)
    assert given_ is not None
    assert given_.saved is not None
    assert given_.saved.saved_minutes == 5 + 15 + 25 + 85


def test_few_give_no_supposed_time() -> None:
    found = mitigation_study(corpus([record(1, {"mitigation": ("restart",)}, ttm=5)]), ROLES.mitigation)
    assert found is not None
    assert found.saved is not None
    assert found.saved.saved_minutes is None


def test_a_taxonomy_without_roles_has_none_and_wrong_ones_are_refused() -> None:
    others = [Taxonomy.load(name) for name in shipped() if name != "llm_inference"]
    assert [Roles.load(one) for one in others] == [Roles()] * len(others)
    with pytest.raises(InvalidInput):
        ROLES.check(others[0])
