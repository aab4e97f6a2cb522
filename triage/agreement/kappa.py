"""Cohen's kappa: agreement of two labellings beyond what chance would give, with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from triage.agreement.confusion import Confusion
from triage.agreement.interval import CONFIDENCE, RESAMPLES, Interval


class Kappa(BaseModel, frozen=True):
    """Cohen's kappa, -1 to 1: 1 is perfect agreement, 0 is what chance alone gives.

    `observed` is the share of incidents on which the two agree, `expected` the share that chance would give.
    Where kappa does not exist, `value` is None and `undefined` says why.
    """

    value: float | None
    n: int = Field(ge=0)
    observed: float | None = None
    expected: float | None = None
    interval: Interval | None = None
    undefined: str | None = None

    def __str__(self) -> str:
        if self.value is None:
            return f"undefined ({self.undefined})"
        return f"{self.value:.2f} {self.interval}" if self.interval else f"{self.value:.2f}"

    def explain(self) -> str:
        """What the figure says, in one sentence."""
        if self.value is None or self.observed is None or self.expected is None:
            return f"Kappa is undefined: {self.undefined}."
        text = (
            f"On {self.n} incidents the two agree in {self.observed:.0%}, where chance alone would give "
            f"{self.expected:.0%}: kappa {self.value:.2f}"
        )
        if self.interval is None:
            return f"{text}."
        width, draws = f"{self.interval.confidence:.0%}", f"{self.interval.resamples:,}"
        return f"{text}, {width} interval {self.interval} (percentile bootstrap, {draws} resamples)."


def cohen_kappa(
    a: Sequence[str], b: Sequence[str], *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> Kappa:
    """Cohen's kappa of two labellings of the same incidents, kappa = (p_o - p_e) / (1 - p_e).

    Source: J. Cohen, A coefficient of agreement for nominal scales, Educational and Psychological Measurement 20
    (1960). `resamples=0` leaves the interval out.

    >>> str(cohen_kappa(["yes", "yes", "no", "no"], ["yes", "no", "no", "no"], resamples=0))
    '0.50'
    """
    return kappa_of(Confusion.of(a, b), resamples=resamples, confidence=confidence, seed=seed)


def kappa_of(
    confusion: Confusion, *, resamples: int = RESAMPLES, confidence: float = CONFIDENCE, seed: int = 0
) -> Kappa:
    """Cohen's kappa from a confusion matrix, with a percentile bootstrap interval over the incidents."""
    n = confusion.n
    if n == 0:
        return Kappa(value=None, n=0, undefined="there is nothing to compare")
    counts = confusion.array
    rows, columns = np.nonzero(counts)
    cells = counts[rows, columns]
    observed, expected = _shares(cells[None, :], rows, columns, len(confusion.labels))
    p_o, p_e = float(observed[0]), float(expected[0])
    if len(set(rows) | set(columns)) == 1:
        label = confusion.labels[int(rows[0])]
        return Kappa(
            value=None,
            n=n,
            observed=p_o,
            expected=p_e,
            undefined=f"both sides use only the label {label!r}, so chance alone explains all agreement",
        )
    interval = None
    if resamples and n > 1:
        # Drawing n incidents with replacement is one multinomial draw over the cells of the matrix.
        draws = np.random.default_rng(seed).multinomial(n, cells / n, size=resamples)
        interval = Interval.of(_kappa(*_shares(draws, rows, columns, len(confusion.labels))), confidence)
    return Kappa(value=(p_o - p_e) / (1 - p_e), n=n, observed=p_o, expected=p_e, interval=interval)


def _shares(
    draws: NDArray[np.int64], rows: NDArray[np.intp], columns: NDArray[np.intp], size: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Observed and expected agreement of each draw; `draws` has shape (draws, non-empty cells)."""
    n = draws.sum(axis=1)
    identity = np.eye(size)
    observed = draws[:, rows == columns].sum(axis=1) / n
    expected = ((draws @ identity[rows]) * (draws @ identity[columns])).sum(axis=1) / n.astype(np.float64) ** 2
    return observed, expected


def _kappa(observed: NDArray[np.float64], expected: NDArray[np.float64]) -> NDArray[np.float64]:
    room = 1 - expected
    # A draw of a single label has no room for agreement beyond chance: 1 - p_e is then a rounding error.
    defined = room > 1e-12
    return np.divide(observed - expected, room, out=np.full_like(room, np.nan), where=defined)
