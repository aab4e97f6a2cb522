"""Confident learning against the package of its authors, against counting by hand, and against planted errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from triage.evaluation.confident_learning import (
    calibrated,
    confident_joint,
    noise_interval,
    noise_share,
    normalised_margin,
    self_confidence,
    share_without_errors,
)


def sample(n: int, labels: int, *, flipped: float = 0.0, sharpness: float = 3.0, seed: int = 0):
    """True labels, given labels of which a share is flipped, and probabilities that know the true ones."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, labels, n)
    scores = rng.normal(size=(n, labels))
    scores[np.arange(n), true] += sharpness
    probabilities = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    labelled = true.copy()
    wrong = rng.random(n) < flipped
    labelled[wrong] = (true[wrong] + rng.integers(1, labels, wrong.sum())) % labels
    return true, labelled, probabilities


@pytest.mark.parametrize("labels", [2, 3, 6])
def test_thresholds_joint_and_scores_are_those_of_the_authors_package(labels: int) -> None:
    count = pytest.importorskip("cleanlab.count")
    rank = pytest.importorskip("cleanlab.rank")
    _, labelled, probabilities = sample(400, labels, flipped=0.2, seed=labels)
    thresholds = count.get_confident_thresholds(labelled, probabilities)
    # Where several labels pass, the package takes the likeliest of all labels, and the paper that of those that pass.
    passed = probabilities >= thresholds
    alike = (passed.sum(axis=1) < 2) | passed[np.arange(400), probabilities.argmax(axis=1)]
    theirs, at = count.compute_confident_joint(
        labelled[alike],
        probabilities[alike],
        thresholds=thresholds,
        calibrate=False,
        return_indices_of_off_diagonals=True,
    )
    ours = confident_joint(labelled, probabilities)

    assert ours.thresholds == pytest.approx(thresholds)
    confident, kept = ours.confident[alike], labelled[alike]
    counts = np.zeros((labels, labels), dtype=int)
    np.add.at(counts, (kept[confident >= 0], confident[confident >= 0]), 1)
    assert counts.tolist() == theirs.tolist()
    assert np.flatnonzero((confident >= 0) & (confident != kept)).tolist() == list(at)
    assert self_confidence(labelled, probabilities) == pytest.approx(
        rank.get_self_confidence_for_each_label(labelled, probabilities)
    )
    # The package moves the margin from [-1, 1] to [0, 1].
    assert (normalised_margin(labelled, probabilities) + 1) / 2 == pytest.approx(
        rank.get_normalized_margin_for_each_label(labelled, probabilities)
    )


def test_the_calibrated_joint_is_the_packages_but_for_its_rounding() -> None:
    count = pytest.importorskip("cleanlab.count")
    _, labelled, probabilities = sample(300, 2, flipped=0.3)
    joint = confident_joint(labelled, probabilities)

    theirs = count.calibrate_confident_joint(joint.counts, labelled)

    assert np.abs(calibrated(joint, labelled) - theirs).max() < 1


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 10_000))
def test_the_joint_is_what_counting_case_by_case_gives(labels: int, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    labelled, probabilities = rng.integers(0, labels, n), rng.dirichlet(np.ones(labels), n)
    thresholds = {}
    for k in range(labels):
        own = [row[k] for row, label in zip(probabilities, labelled, strict=True) if label == k]
        if own:
            thresholds[k] = sum(own) / len(own)
    counts = [[0] * labels for _ in range(labels)]
    for row, label in zip(probabilities, labelled, strict=True):
        passing = [k for k, bar in thresholds.items() if row[k] >= bar - 1e-6]
        if passing:
            counts[label][max(passing, key=lambda k: row[k])] += 1

    assert confident_joint(labelled, probabilities).counts.tolist() == counts
    assert 0 <= noise_share(labelled, probabilities) < 1


def test_the_share_of_planted_errors_is_found_and_none_where_there_is_none() -> None:
    _, clean, sure = sample(800, 4, sharpness=6)
    _, noisy, probabilities = sample(800, 4, flipped=0.2, sharpness=6)
    found = noise_interval([(noisy, probabilities)])

    assert noise_share(clean, sure) < 0.03
    assert noise_share(noisy, probabilities) == pytest.approx(0.2, abs=0.05)
    assert found is not None
    assert found.low < 0.2 < found.high


def test_an_unsure_model_alone_makes_the_estimate_high_and_this_is_told() -> None:
    rng = np.random.default_rng(3)
    probabilities = rng.dirichlet(np.full(3, 0.8), 600)
    from_them = np.array([rng.choice(3, p=row) for row in probabilities])

    share, without = noise_share(from_them, probabilities), share_without_errors(probabilities)

    assert share > 0.1
    assert share == pytest.approx(without, abs=0.06)


def test_a_label_that_no_case_is_given_is_never_confident() -> None:
    probabilities = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])

    joint = confident_joint(np.array([0, 0, 1]), probabilities)

    assert joint.confident.tolist() == [-1, 0, 1]
    assert calibrated(joint, np.array([0, 0, 1])).sum() == pytest.approx(3)
