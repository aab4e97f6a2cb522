from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import power_divergence

from triage.agreement.drift import _g, label_drift

LABELS = st.lists(st.sampled_from("abcd"), min_size=1, max_size=40)


def drawn(shares: dict[str, float], n: int, seed: int) -> list[str]:
    return np.random.default_rng(seed).choice(list(shares), n, p=list(shares.values())).tolist()


def test_a_shift_is_found_and_told_by_its_labels() -> None:
    before, now = drawn({"a": 0.6, "b": 0.3, "c": 0.1}, 150, 1), drawn({"a": 0.3, "b": 0.3, "c": 0.4}, 150, 2)
    drift = label_drift(now, before)

    assert drift.p is not None
    assert drift.p < 0.001
    assert drift.psi is not None
    assert drift.psi > 0.25
    assert drift.risen is not None
    assert drift.risen == ("c", before.count("c") / 150, now.count("c") / 150)
    assert drift.fallen is not None
    assert drift.fallen[0] == "a"


def test_labels_of_one_source_seldom_pass_for_a_shift() -> None:
    shares = {"a": 0.7, "b": 0.2, "c": 0.08, "d": 0.02}
    found = [
        label_drift(drawn(shares, 40, 2 * i), drawn(shares, 40, 2 * i + 1), permutations=300).p for i in range(200)
    ]

    assert sum(p <= 0.05 for p in found if p is not None) <= 20


@given(LABELS, LABELS)
def test_the_statistic_is_scipys(a: list[str], b: list[str]) -> None:
    table = np.array([[side.count(label) for label in "abcd"] for side in (a, b)])
    used = table[:, table.sum(axis=0) > 0]
    expected = np.outer(used.sum(axis=1), used.sum(axis=0)) / used.sum()
    reference = power_divergence(used, expected, lambda_="log-likelihood", axis=None).statistic

    assert _g(table[:1], table[1:])[0] == pytest.approx(reference, abs=1e-9)


@given(LABELS, LABELS)
def test_p_is_a_share_and_the_index_is_symmetric(a: list[str], b: list[str]) -> None:
    there, back = label_drift(a, b, permutations=50), label_drift(b, a, permutations=50)

    assert there.p is not None
    assert 0 < there.p <= 1
    assert there.psi == pytest.approx(back.psi)
    assert there.psi is not None
    assert there.psi >= -1e-12


def test_the_same_labels_show_nothing_and_none_show_none() -> None:
    same = label_drift(["a", "b"] * 20, ["b", "a"] * 20)
    assert (same.p, same.psi, same.risen, same.fallen) == (1.0, 0.0, None, None)

    empty = label_drift([], ["a"])
    assert empty.p is None
    assert empty.undefined == "the recent period has no label"


def test_the_index_is_that_of_the_formula() -> None:
    p, q = (30.5 / 41, 10.5 / 41), (20.5 / 41, 20.5 / 41)
    expected = sum((x - y) * math.log(x / y) for x, y in zip(p, q, strict=True))

    assert label_drift(["a"] * 30 + ["b"] * 10, ["a"] * 20 + ["b"] * 20).psi == pytest.approx(expected)
