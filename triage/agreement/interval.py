"""Confidence intervals from the percentile bootstrap."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

RESAMPLES = 2000
CONFIDENCE = 0.95


class Interval(BaseModel, frozen=True):
    """A percentile bootstrap interval (Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13).

    `undefined_resamples` counts the resamples in which the statistic did not exist; they are left out.
    """

    low: float
    high: float
    confidence: float = Field(default=CONFIDENCE, gt=0, lt=1)
    resamples: int = Field(gt=0)
    undefined_resamples: int = Field(default=0, ge=0)

    @classmethod
    def of(cls, statistics: NDArray[np.float64], confidence: float = CONFIDENCE) -> Self | None:
        """The interval of bootstrap statistics (NaN where undefined); None where no resample defines the statistic."""
        defined = statistics[~np.isnan(statistics)]
        if not defined.size:
            return None
        tail = (1 - confidence) / 2
        low, high = np.quantile(defined, [tail, 1 - tail]).tolist()
        return cls(
            low=low,
            high=high,
            confidence=confidence,
            resamples=statistics.size,
            undefined_resamples=statistics.size - defined.size,
        )

    def __str__(self) -> str:
        return f"[{self.low:.2f}, {self.high:.2f}]"
