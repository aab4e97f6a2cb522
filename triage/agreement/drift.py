"""Whether the proportions of labels changed between two periods."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

PERMUTATIONS = 5_000


class Drift(BaseModel, frozen=True):
    """The labels of a recent period against those of a reference period.

    `p` is the share of random divisions of the same labels into two such periods that differ at least as much (G-test
    by permutation, valid for small counts too). `psi` is the population stability index, the size of the shift: 0 for
    equal shares, larger by chance with few cases. `risen` and `fallen` are the labels whose share changed most, with
    the shares before and now.
    """

    recent: int = Field(ge=0)
    reference: int = Field(ge=0)
    p: float | None = None
    psi: float | None = None
    risen: tuple[str, float, float] | None = None
    fallen: tuple[str, float, float] | None = None
    undefined: str | None = None


def label_drift(
    recent: Sequence[str], reference: Sequence[str], *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Drift:
    """Compare the labels of two periods.

    Sources: R. Sokal and F. Rohlf, Biometry (1995), for the G-test; permutation p-value (hits + 1) / (draws + 1) after
    B. Phipson and G. Smyth, Permutation p-values should never be zero, Statistical Applications in Genetics and
    Molecular Biology 9 (2010). The index adds half a case to every count, so that new labels don't make it infinite.
    """
    if not recent or not reference:
        empty = "recent" if not recent else "reference"
        return Drift(recent=len(recent), reference=len(reference), undefined=f"the {empty} period has no label")
    now, before = Counter(recent), Counter(reference)
    labels = sorted(now | before)
    a = np.array([now[label] for label in labels], dtype=np.int64)
    b = np.array([before[label] for label in labels], dtype=np.int64)
    # A random division into two periods of these sizes is a draw without replacement.
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(a + b, int(a.sum()), size=permutations)
    observed = _g(a[None, :], b[None, :])[0]
    hits = int((_g(drawn, a + b - drawn) >= observed - 1e-9).sum())
    moved = a / a.sum() - b / b.sum()
    shares = [(label, float(b[i] / b.sum()), float(a[i] / a.sum())) for i, label in enumerate(labels)]
    return Drift(
        recent=len(recent),
        reference=len(reference),
        p=(hits + 1) / (permutations + 1),
        psi=_stability_index(a, b),
        risen=shares[int(moved.argmax())] if moved.max() > 0 else None,
        fallen=shares[int(moved.argmin())] if moved.min() < 0 else None,
    )


def _g(a: NDArray[np.int64], b: NDArray[np.int64]) -> NDArray[np.float64]:
    """The G statistic of each row of `a` against the same row of `b`."""
    total = (a + b).astype(np.float64)
    n_a, n_b = a.sum(axis=1, keepdims=True), b.sum(axis=1, keepdims=True)
    statistic = np.zeros(len(a))
    for counts, n in ((a, n_a), (b, n_b)):
        expected = total * n / (n_a + n_b)
        ratio = np.divide(counts, expected, out=np.ones_like(expected), where=(counts > 0) & (expected > 0))
        statistic += 2 * (counts * np.log(ratio)).sum(axis=1)
    return statistic


def _stability_index(a: NDArray[np.int64], b: NDArray[np.int64]) -> float:
    p, q = ((counts + 0.5) / (counts.sum() + 0.5 * len(counts)) for counts in (a, b))
    return float(((p - q) * np.log(p / q)).sum())
