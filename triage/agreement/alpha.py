"""Krippendorff's alpha: agreement of any number of annotators, with gaps, on names, scales or sets of labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Hashable, Sequence
from typing import Literal, Unpack

import numpy as np
from pydantic import BaseModel, Field

from triage.agreement.distance import SetDistance, disagreement, set_distances
from triage.agreement.interval import Floats, Interval, Resampling, Statistic, bootstrap, quotient, shown

Distance = Literal["nominal", "ordinal"] | SetDistance


class Alpha(BaseModel, frozen=True):
    """Krippendorff's alpha, at most 1: 1 is perfect agreement, 0 is what chance alone gives.

    `n` counts the incidents with at least two labels, and `ratings` the labels on them; other incidents are left out.
    `observed` is the mean distance of two labels of the same incident, `expected` that of any two labels. If alpha is
    undefined, `value` is None and `undefined` says why.
    """

    value: float | None
    distance: Distance
    n: int = Field(ge=0)
    ratings: int = Field(default=0, ge=0)
    observed: float | None = None
    expected: float | None = None
    interval: Interval | None = None
    undefined: str | None = None

    def __str__(self) -> str:
        return shown(self.value, self.interval, self.undefined)

    def explain(self) -> str:
        """The figure in one sentence."""
        if self.value is None or not self.expected or self.observed is None:
            return f"Krippendorff's alpha ({self.distance}) is undefined: {self.undefined}."
        text = (
            f"On {self.n} incidents with {self.ratings} labels two labels of one incident are "
            f"{self.observed / self.expected:.0%} as far apart as any two: Krippendorff's alpha ({self.distance}) "
            f"{self.value:.2f}"
        )
        return f"{text}, {self.interval.explain()}." if self.interval else f"{text}."


def krippendorff_alpha(
    ratings: Sequence[Sequence[str | None]],
    *,
    scale: Sequence[str] | None = None,
    **options: Unpack[Resampling],
) -> Alpha:
    """Alpha of incidents, each with one label per annotator; None where an annotator gave none.

    Ordinal if `scale` lists the labels in order, else nominal. Source: K. Krippendorff, Computing
    Krippendorff's alpha-reliability, University of Pennsylvania (2011). Raises ValueError for labels that are not on
    the scale.

    >>> str(krippendorff_alpha([("a", "a", None), ("b", "b", "a"), (None, "b", "b")], resamples=0))
    '0.50'
    """
    used = {label for labels in ratings for label in labels if label is not None}
    unknown = used - set(scale or used)
    if unknown:
        raise ValueError(f"ordinal alpha needs every label on the scale; missing: {', '.join(sorted(unknown))}")
    names = sorted(used) if scale is None else list(dict.fromkeys(scale))
    apart = disagreement(len(names)) if scale is None else None
    return _alpha(_kinds(ratings, names), names, apart, "ordinal" if scale else "nominal", options)


def set_alpha(
    ratings: Sequence[Sequence[Collection[str] | None]],
    *,
    distance: SetDistance = "masi",
    **options: Unpack[Resampling],
) -> Alpha:
    """Alpha of incidents, each with a set of labels per annotator; None where an annotator gave none.

    The distance of two sets is `masi_distance` or `jaccard_distance`. Source: R. Passonneau, LREC 2006.

    >>> str(set_alpha([({"a"}, {"a", "b"}), ({"b"}, {"b"}), ({"c"}, {"c"})], resamples=0))
    '0.72'
    """
    frozen = [[None if labels is None else frozenset(labels) for labels in row] for row in ratings]
    names = sorted({labels for row in frozen for labels in row if labels is not None}, key=sorted)
    shown = ["{" + ", ".join(sorted(labels)) + "}" for labels in names]
    apart = set_distances(names, distance)
    return _alpha(_kinds(frozen, names), shown, apart, distance, options)


def alpha_statistic(kinds: Floats, apart: Floats | None) -> Statistic:
    """Alpha where an incident of kind i has `kinds[i, v]` labels of value v; an ordinal scale where `apart` is None."""

    def statistic(draws: Floats) -> Floats:
        observed, expected = _disagreements(draws, kinds, apart)
        return 1 - quotient(observed, expected)

    return statistic


def _kinds(ratings: Sequence[Sequence[Hashable | None]], names: Sequence[Hashable]) -> Counter[tuple[int, ...]]:
    """How many incidents have which counts of each value; incidents with fewer than two labels are left out."""
    place = {name: i for i, name in enumerate(names)}
    found: Counter[tuple[int, ...]] = Counter()
    for row in ratings:
        codes = [place[label] for label in row if label is not None]
        if len(codes) > 1:
            counts = [0] * len(names)
            for i in codes:
                counts[i] += 1
            found[tuple(counts)] += 1
    return found


def _alpha(
    found: Counter[tuple[int, ...]],
    names: Sequence[str],
    apart: Floats | None,
    distance: Distance,
    options: Resampling,
) -> Alpha:
    if not found:
        return Alpha(value=None, distance=distance, n=0, undefined="no incident has labels of two annotators")
    kinds = np.array(list(found), dtype=np.float64).reshape(len(found), len(names))
    times = np.array(list(found.values()), dtype=np.int64)
    whole = times[None, :].astype(np.float64)
    observed, expected = (float(one[0]) for one in _disagreements(whole, kinds, apart))
    n, totals = int(times.sum()), times @ kinds
    result = Alpha(value=None, distance=distance, n=n, ratings=int(totals.sum()), observed=observed, expected=expected)
    used = np.flatnonzero(totals)
    if used.size == 1:
        only = f"all labels are {names[int(used[0])]!r}, so chance alone explains all agreement"
        return result.model_copy(update={"undefined": only})
    chance = None
    if (np.count_nonzero(kinds, axis=1) == 1).all():
        all_labels = float(totals.sum())
        chance = 1 - float((totals * (totals - 1)).sum()) / (all_labels * (all_labels - 1))
    interval = bootstrap(alpha_statistic(kinds, apart), times, chance_disagreement=chance, **options)
    return result.model_copy(update={"value": 1 - observed / expected, "interval": interval})


def _disagreements(draws: Floats, kinds: Floats, apart: Floats | None) -> tuple[Floats, Floats]:
    """Mean distance within incidents and among all labels, for each draw; `kinds` has shape (kinds, values)."""
    sizes = kinds.sum(axis=1)
    totals = draws @ kinds
    n = totals.sum(axis=1)
    if apart is not None:
        within = np.einsum("ku,uv,kv->k", kinds, apart, kinds, optimize=True) / np.maximum(1, sizes - 1)
        among = ((totals @ apart) * totals).sum(axis=1)
        return quotient(draws @ within, n), quotient(among, n * (n - 1))
    # On a scale two labels are as far apart as their middle ranks; squared differences come from sums of squares.
    ranks = (np.cumsum(totals, axis=1) - totals / 2) / np.maximum(1, n)[:, None] - 0.5
    first, second = ranks @ kinds.T, ranks**2 @ kinds.T
    inside = 2 * (sizes * second - first**2) / np.maximum(1, sizes - 1)
    among = 2 * (n * (totals * ranks**2).sum(axis=1) - (totals * ranks).sum(axis=1) ** 2)
    return quotient((draws * inside).sum(axis=1), n), quotient(among, n * (n - 1))
