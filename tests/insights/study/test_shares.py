"""Shares, detection, mitigation and the time that automation would have saved."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.insights.study.conftest import TAXONOMY, by_lot, corpus, record
from triage.insights.study import Roles
from triage.insights.study.corpus import counted
from triage.insights.study.detection_and_mitigation import detection_split, fisher, mitigation_study
from triage.insights.study.distributions import distributions, simultaneous_interval

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
    split = detection_split(corpus(records), ROLES)
    assert split is not None
    assert split.automated is not None
    assert (split.automated.hits, split.automated.n, split.silent.hits, split.silent.n) == (3, 4, 6, 10)
    gaps = {gap.label: gap.reported for gap in split.gaps if gap.facet == "failure_mode"}
    assert [(name, share.hits, share.n, share.incident_ids) for name, share in gaps.items()] == [
        ("deployment", 1, 4, ("i3",))
    ]


def test_a_label_that_customers_report_more_than_others_stands_out() -> None:
    modes = [("node", "automated")] * 30 + [("timeout", "customer_reported")] * 12 + [("node", "customer_reported")]
    parents = {"node": "infrastructure", "timeout": "inference_engine"}
    records = [
        record(n, {"category": (parents[mode],), "failure_mode": (mode,), "detection": (noticed,)})
        for n, (mode, noticed) in enumerate(modes)
    ]
    split = detection_split(corpus(records), ROLES)
    assert split is not None
    timeout, node = (gap for gap in split.gaps if gap.facet == "failure_mode")
    assert (timeout.label, timeout.reported.share, timeout.elsewhere.share) == ("timeout", 1.0, pytest.approx(1 / 31))
    assert timeout.p < 0.001
    assert node.reported.incident_ids == ("i42",)


def test_fishers_test_is_the_reference_s() -> None:
    from scipy.stats import fisher_exact

    for hits, n, other_hits, other_n in ((3, 10, 1, 12), (0, 5, 7, 9), (8, 8, 0, 8), (40, 300, 11, 200), (1, 1, 3, 9)):
        table = [[hits, n - hits], [other_hits, other_n - other_hits]]
        assert fisher(hits, n, other_hits, other_n) == pytest.approx(fisher_exact(table).pvalue, rel=1e-6)


def test_the_time_saved_is_what_exceeds_the_supposed_time() -> None:
    times = [10, 20, 30, 40, 100]
    records = [record(n, {"mitigation": ("restart",)}, ttm=t) for n, t in enumerate(times)]
    records.append(record(9, {"mitigation": ("restart", "hotfix")}, ttm=1000))
    found = mitigation_study(corpus(records), ROLES)
    assert found is not None
    assert found.saved is not None
    assert (found.saved.minutes, found.saved.saved_minutes, found.saved.total_minutes) == (30, 80, 200)
    assert (found.saved.n, found.saved.n_all, found.saved.all_minutes) == (5, 6, 1200)
    assert found.saved.interval is not None
    assert found.saved.interval[0] < 80 < found.saved.interval[1]
    assert found.hotfix is not None
    assert found.hotfix.incident_ids == ("i9",)
    given_ = mitigation_study(corpus(records), ROLES, automated_minutes=15)
    assert given_ is not None
    assert given_.saved is not None
    assert given_.saved.saved_minutes == 5 + 15 + 25 + 85


def test_few_give_no_supposed_time() -> None:
    found = mitigation_study(corpus([record(1, {"mitigation": ("restart",)}, ttm=5)]), ROLES)
    assert found is not None
    assert found.saved is not None
    assert found.saved.saved_minutes is None


@settings(deadline=None, max_examples=10)
@given(st.integers(0, 10_000))
def test_the_time_saved_is_no_more_than_the_time_taken(seed: int) -> None:
    found = mitigation_study(by_lot(seed, 40), ROLES, seed=seed)
    saved = found.saved if found else None
    if saved is not None and saved.saved_minutes is not None:
        assert 0 <= saved.saved_minutes <= saved.total_minutes <= saved.all_minutes
        assert saved.interval is None or 0 <= saved.interval[0] <= saved.interval[1]


def test_labels_that_no_incident_carries_are_named() -> None:
    found = distributions(corpus([record(1, {"severity": ("high",)})]))
    assert found[0].never == ("low", "medium", "critical")
