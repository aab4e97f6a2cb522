"""Calibration of stated probabilities, and accuracy when only the surer cases are answered."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

LEAST_IN_BIN = 15


class Bin(BaseModel, frozen=True):
    """Cases with similar stated probabilities: the mean probability and the share that were right."""

    stated: float
    right: float
    n: int = Field(gt=0)


class Coverage(BaseModel, frozen=True):
    """The `accuracy` when the surest share `coverage` of the cases is answered."""

    coverage: float = Field(gt=0, le=1)
    accuracy: float = Field(ge=0, le=1)
    threshold: float = Field(ge=0, le=1)


def reliability(stated: Sequence[float], right: Sequence[bool], bins: int = 5) -> list[Bin]:
    """At most `bins` bins of equal size, least sure first, each with at least 15 cases if there are so many.

    Source of bins of equal size: Nguyen and O'Connor, 'Posterior calibration and exploratory analysis for natural
    language processing models', EMNLP 2015.
    """
    if len(stated) != len(right):
        raise ValueError(f"{len(stated)} probabilities and {len(right)} outcomes don't belong together")
    if not stated:
        return []
    order = np.argsort(np.asarray(stated), kind="stable")
    count = max(1, min(bins, len(stated) // LEAST_IN_BIN))
    probabilities, outcomes = np.asarray(stated, dtype=float)[order], np.asarray(right, dtype=float)[order]
    return [
        Bin(stated=float(probabilities[part].mean()), right=float(outcomes[part].mean()), n=len(part))
        for part in np.array_split(np.arange(len(order)), count)
    ]


def expected_calibration_error(stated: Sequence[float], right: Sequence[bool], bins: int = 5) -> float | None:
    """Mean distance of stated probability and share right over the bins of `reliability`, weighted by size, 0 to 1.

    After Guo et al., 'On calibration of modern neural networks', ICML 2017. None without cases.
    """
    found = reliability(stated, right, bins)
    if not found:
        return None
    return sum(b.n * abs(b.stated - b.right) for b in found) / sum(b.n for b in found)


def calibration_error_by_chance(stated: Sequence[float], *, resamples: int = 200, seed: int = 0) -> float | None:
    """The mean expected calibration error of so many cases if every probability is exactly true. None without cases.

    With few cases it is not 0: with 30 cases it is about 0.08.
    """
    if not stated:
        return None
    rng = np.random.default_rng(seed)
    drawn = rng.random((resamples, len(stated))) < np.asarray(stated)
    errors = [expected_calibration_error(stated, outcomes.tolist()) for outcomes in drawn]
    return float(np.mean([error for error in errors if error is not None]))


def risk_coverage(stated: Sequence[float], right: Sequence[bool]) -> list[Coverage]:
    """The accuracy among the surest cases, for every number of cases; ties are answered together.

    The curve of El-Yaniv and Wiener, 'On the foundations of noise-free selective classification', JMLR 2010.
    """
    order = sorted(range(len(stated)), key=lambda i: -stated[i])
    curve: list[Coverage] = []
    hits = 0
    for count, index in enumerate(order, start=1):
        hits += bool(right[index])
        if count == len(order) or stated[order[count]] < stated[index]:
            curve.append(Coverage(coverage=count / len(order), accuracy=hits / count, threshold=stated[index]))
    return curve


def accuracy_at(curve: Sequence[Coverage], coverage: float) -> float | None:
    """The accuracy at the smallest coverage on the curve that is at least `coverage`; None on an empty curve."""
    return next((point.accuracy for point in curve if point.coverage >= coverage - 1e-9), None)
