"""Groups by likeness, and their apartness."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from triage.insights.radar.clustering import Space, apartness, groups_of


def around(*angles: float, spread: float = 0.05, each: int = 6, seed: int = 0) -> NDArray[np.float32]:
    """So many unit vectors of two dimensions around each angle."""
    lots = np.random.default_rng(seed)
    all_angles = np.concatenate([angle + lots.normal(0, spread, each) for angle in angles])
    return np.stack([np.cos(all_angles), np.sin(all_angles)], axis=1).astype(np.float32)


def test_incidents_that_are_alike_make_a_group_and_few_make_none() -> None:
    placed = np.vstack([around(0.0, each=7), around(2.0, each=5), around(4.0, each=2)]).astype(np.float64)
    assert groups_of(placed, 0.8, 5) == [list(range(7)), list(range(7, 12))]
    assert groups_of(placed, 0.8, 6) == [list(range(7))]
    assert groups_of(placed[:4], 0.8, 5) == []


@given(st.integers(0, 10_000), st.integers(0, 30), st.floats(-0.5, 0.95), st.integers(2, 6))
def test_groups_share_no_incident_and_are_as_alike_as_was_asked_for(
    seed: int, count: int, alike: float, least: int
) -> None:
    lots = np.random.default_rng(seed).normal(size=(count, 5))
    placed = lots / np.linalg.norm(lots, axis=1, keepdims=True)
    groups = groups_of(placed, alike, least)

    places = [place for group in groups for place in group]
    assert len(places) == len(set(places))
    assert all(len(group) >= least for group in groups)
    assert groups == groups_of(placed, alike, least)
    assert [len(group) for group in groups] == sorted((len(group) for group in groups), reverse=True)


def test_a_kind_of_its_own_is_apart_and_hard_cases_of_a_known_one_are_not() -> None:
    labelled = np.vstack([around(0.0, each=20), around(2.0, each=20)]).astype(np.float64)
    own, among = around(4.0, seed=1).astype(np.float64), around(0.0, seed=1).astype(np.float64)

    assert apartness(own, labelled) == 1.0
    assert apartness(among, labelled) < 0.4


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(0, 20))
def test_apartness_is_a_share_and_grows_with_what_is_labelled_gone(seed: int, size: int, count: int) -> None:
    lots = np.random.default_rng(seed).normal(size=(size + count, 4))
    placed = lots / np.linalg.norm(lots, axis=1, keepdims=True)
    found = apartness(placed[:size], placed[size:])

    assert 0 <= found <= apartness(placed[:size], placed[size : size + count // 2]) <= 1
    assert apartness(placed[:size], placed[size:size]) == 1


def test_copies_of_labelled_incidents_are_not_apart() -> None:
    one = np.tile([[1.0, 0.0]], (6, 1))
    assert apartness(one[:3], one) == 0.0


def test_what_all_labelled_incidents_have_in_common_is_taken_off() -> None:
    common = np.array([10.0, 0.0, 0.0])
    told = np.array([[0.0, 1.0, 0.0], [0.0, -1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    vectors = (common + told).astype(np.float32)
    space = Space(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))

    assert float(vectors[0] @ vectors[1]) / 101 > 0.97
    assert space.labelled[0] @ space.labelled[1] == pytest.approx(-1, abs=1e-3)
    assert space.place(vectors[:1] / np.sqrt(101)) == pytest.approx(space.labelled[:1], abs=1e-4)
    assert space.alike(0.0) == pytest.approx(0.0, abs=1e-3)
