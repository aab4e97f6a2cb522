"""Confident learning: finds labels that contradict the probabilities, and estimates how many are wrong.

Source: C. Northcutt, L. Jiang and I. Chuang, Confident learning: estimating uncertainty in dataset labels, Journal of
Artificial Intelligence Research 70 (2021). Arrays: `given` holds a label's number for each case, shape (cases,), and
`probabilities` how likely each label is by a model that did not learn from the case, shape (cases, labels).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.agreement.interval import Interval

Codes = NDArray[np.int64]
Matrix = NDArray[np.float64]

_RESAMPLES = 500
_ERROR_FREE_DRAWS = 200
_ROUNDING = 1e-6


class ConfidentJoint(NamedTuple):
    """`counts[i, j]` cases are labelled i and confidently j. `confident` holds j for each case, -1 if there is none."""

    thresholds: Matrix
    confident: Codes
    counts: NDArray[np.int64]


def confident_joint(given: Codes, probabilities: Matrix) -> ConfidentJoint:
    """Count the cases by given label and confident label.

    A label is confident if it is at least as likely as it is on average among the cases with that given label; of
    several, the likeliest counts. A label that no case is given is never confident.
    """
    labels = probabilities.shape[1]
    thresholds = np.array(
        [probabilities[given == k, k].mean() if (given == k).any() else np.inf for k in range(labels)]
    )
    # Equal probabilities must pass their own mean, whatever the rounding.
    passed = probabilities >= thresholds - _ROUNDING
    likeliest = np.where(passed, probabilities, -np.inf).argmax(axis=1)
    confident = np.where(passed.any(axis=1), likeliest, -1).astype(np.int64)
    counts = np.zeros((labels, labels), dtype=np.int64)
    counted = confident >= 0
    np.add.at(counts, (given[counted], confident[counted]), 1)
    return ConfidentJoint(thresholds, confident, counts)


def calibrated(joint: ConfidentJoint, given: Codes) -> Matrix:
    """The counts scaled so that each row adds up to the number of cases with that label: shape (labels, labels).

    The label of a row without counts is taken to be right.
    """
    counts = joint.counts.astype(np.float64)
    np.fill_diagonal(counts, np.maximum(counts.diagonal(), 1))
    sizes = np.bincount(given, minlength=len(counts))
    result: Matrix = counts / counts.sum(axis=1, keepdims=True) * sizes[:, None]
    return result


def noise_share(given: Codes, probabilities: Matrix) -> float:
    """The estimated share of wrong labels; NaN without cases."""
    if not len(given):
        return float("nan")
    counts = calibrated(confident_joint(given, probabilities), given)
    return float(1 - counts.trace() / counts.sum())


def noise_interval(choices: Sequence[tuple[Codes, Matrix]], *, seed: int = 0) -> Interval | None:
    """A percentile bootstrap interval over the cases of the mean `noise_share` of several choices, drawn in step.

    Each choice is a pair of `given` and `probabilities` of the same cases in the same order.
    """
    n = len(choices[0][0]) if choices else 0
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    drawn = (rng.integers(0, n, n) for _ in range(_RESAMPLES))
    return Interval.of(
        np.array([np.mean([noise_share(given[some], stated[some]) for given, stated in choices]) for some in drawn])
    )


def share_without_errors(probabilities: Matrix, *, seed: int = 0) -> float:
    """The mean `noise_share` of labels drawn from the probabilities themselves, which hold no further errors.

    An unsure model makes the estimate high although no label is wrong.
    """
    if not len(probabilities):
        return float("nan")
    rng = np.random.default_rng(seed)
    upto = probabilities.cumsum(axis=1)
    upto /= upto[:, -1:]
    shares = []
    for _ in range(_ERROR_FREE_DRAWS):
        drawn = (rng.random((len(upto), 1)) > upto).sum(axis=1).astype(np.int64)
        shares.append(noise_share(drawn, probabilities))
    return float(np.mean(shares))


def self_confidence(given: Codes, probabilities: Matrix) -> Matrix:
    """The probability of each case's given label: low if it is suspicious."""
    result: Matrix = probabilities[np.arange(len(given)), given]
    return result


def normalised_margin(given: Codes, probabilities: Matrix) -> Matrix:
    """The probability of the given label less that of the likeliest other, -1 to 1: low if it is suspicious."""
    others = probabilities.copy()
    others[np.arange(len(given)), given] = -np.inf
    result: Matrix = self_confidence(given, probabilities) - others.max(axis=1)
    return result
