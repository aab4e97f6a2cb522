"""Statistics of one facet under weights: how often each case counts, for many draws at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.agreement import expected_calibration_error
from triage.domain.taxonomy import Facet
from triage.evaluation.journal import CaseRecord
from triage.evaluation.scoring import ABSTAINED

Weights = NDArray[np.int64]
"""How often each case counts: shape (draws, cases)."""

Values = NDArray[np.float64]
"""One value per draw, NaN where the statistic does not exist."""


class Columns(NamedTuple):
    """What is known of one facet: arrays over the cases that have a gold label for it, at positions `at`.

    Codes are positions in `names`.
    """

    names: tuple[str, ...]
    at: NDArray[np.intp]
    gold: NDArray[np.int64]
    said: NDArray[np.int64]
    gold_sets: NDArray[np.bool_]
    said_sets: NDArray[np.bool_]
    stated: NDArray[np.float64]
    is_right: NDArray[np.bool_]
    has_evidence: NDArray[np.float64]
    has_hit: NDArray[np.float64]
    is_multi: bool

    @property
    def answered(self) -> NDArray[np.bool_]:
        return np.asarray(self.said_sets.any(axis=1), dtype=bool)


def read_columns(records: Sequence[CaseRecord], facet: Facet) -> Columns:
    labelled = [(n, record) for n, record in enumerate(records) if record.gold.get(facet.id)]
    names = list(dict.fromkeys([*facet.ids, *(one for _, r in labelled for one in r.gold[facet.id]), ABSTAINED]))
    code = {name: n for n, name in enumerate(names)}
    gold = [record.gold[facet.id] for _, record in labelled]
    said = [tuple(one for one in record.predicted.get(facet.id, ()) if one in code) for _, record in labelled]
    best = [_best(record.distributions.get(facet.id, {})) for _, record in labelled]
    return Columns(
        names=tuple(names),
        at=np.array([n for n, _ in labelled], dtype=np.intp),
        gold=np.array([code[labels[0]] for labels in gold], dtype=np.int64),
        said=np.array([code[labels[0]] if labels else code[ABSTAINED] for labels in said], dtype=np.int64),
        gold_sets=_as_sets(gold, code),
        said_sets=_as_sets(said, code),
        stated=np.array([probability for _, probability in best]),
        is_right=np.array([label == labels[0] for (label, _), labels in zip(best, gold, strict=True)], dtype=bool),
        has_evidence=np.array([float(record.evidence.get(facet.id, 0) > 0) for _, record in labelled]),
        has_hit=np.array(
            [
                float(any(record.gold[facet.id][0] in n.labels.get(facet.id, ()) for n in record.neighbours))
                for _, record in labelled
            ]
        ),
        is_multi=facet.cardinality == "multi",
    )


def _best(distribution: Mapping[str, float]) -> tuple[str, float]:
    label = max(distribution, key=lambda one: distribution[one], default="")
    return label, distribution.get(label, np.nan)


def _as_sets(labels: Sequence[Sequence[str]], code: Mapping[str, int]) -> NDArray[np.bool_]:
    sets = np.zeros((len(labels), len(code)), dtype=bool)
    for row, ids in enumerate(labels):
        sets[row, [code[one] for one in ids]] = True
    return sets


def ratio(above: NDArray[Any], below: NDArray[Any], *, is_defined: NDArray[np.bool_] | None = None) -> Values:
    """`above` over `below`; NaN where `below` is 0 or the ratio is not defined."""
    fine = below > 0 if is_defined is None else is_defined
    out = np.full(np.shape(above), np.nan)
    np.divide(above, below, out=out, where=fine)
    return out


def mean(figures: NDArray[np.float64], weights: Weights) -> Values:
    """The weighted mean of one figure per case."""
    return ratio(weights @ figures, weights.sum(axis=1))


def summarise_figures(how: str, figures: NDArray[np.float64], weights: Weights) -> Values:
    """The total, mean, median or 95th percentile of one figure per case."""
    match how:
        case "total" | "count":
            return np.asarray(weights @ figures, dtype=np.float64)
        case "median":
            return _quantile(figures, weights, 0.5)
        case "p95":
            return _quantile(figures, weights, 0.95)
        case _:
            return mean(figures, weights)


def _quantile(figures: NDArray[np.float64], weights: Weights, q: float) -> Values:
    """The smallest figure that at least the share `q` of the (weighted) figures does not exceed."""
    order = np.argsort(figures, kind="stable")
    upto = weights[:, order].cumsum(axis=1)
    wanted = np.ceil(q * upto[:, -1:])
    return np.asarray(figures[order][(upto >= np.maximum(wanted, 1)).argmax(axis=1)], dtype=np.float64)


def two_way_kappa(a: NDArray[np.int64], b: NDArray[np.int64], weights: Weights) -> Values:
    """Cohen's kappa of codes `a` and `b` under each draw; NaN where chance alone explains all agreement."""
    size = int(max(a.max(initial=0), b.max(initial=0))) + 1
    identity = np.eye(size)
    n = weights.sum(axis=1).astype(np.float64)
    agreed = weights[:, a == b].sum(axis=1)
    chance = ((weights @ identity[a]) * (weights @ identity[b])).sum(axis=1)
    room = n**2 - chance
    return ratio(n * agreed - chance, room, is_defined=room > 1e-9 * np.maximum(n, 1) ** 2)


def _kappa(columns: Columns, weights: Weights) -> Values:
    if not columns.is_multi:
        return two_way_kappa(columns.gold, columns.said, weights)
    gold, said = columns.gold_sets.astype(np.int64), columns.said_sets.astype(np.int64)
    each = [two_way_kappa(gold[:, n], said[:, n], weights) for n in range(gold.shape[1])]
    return _mean_of_defined(each)


def _accuracy(columns: Columns, weights: Weights) -> Values:
    if columns.is_multi:
        return mean((columns.gold_sets == columns.said_sets).all(axis=1).astype(np.float64), weights)
    return mean((columns.gold == columns.said).astype(np.float64), weights)


def _macro_f1(columns: Columns, weights: Weights) -> Values:
    if columns.is_multi:
        gold, said = columns.gold_sets, columns.said_sets
    else:
        size = columns.gold_sets.shape[1]
        gold, said = (np.eye(size, dtype=bool)[codes] for codes in (columns.gold, columns.said))
        gold, said = gold[:, :-1], said[:, :-1]  # the last code is the abstention, which is no label
    hits = weights @ (gold & said).astype(np.float64)
    either = weights @ gold.astype(np.float64) + weights @ said.astype(np.float64)
    return _mean_of_defined(list(ratio(2 * hits, either).T))


def _jaccard(columns: Columns, weights: Weights) -> Values:
    both = (columns.gold_sets & columns.said_sets).sum(axis=1)
    either = (columns.gold_sets | columns.said_sets).sum(axis=1)
    return mean(np.divide(both, either, out=np.ones(len(both)), where=either > 0), weights)


def _answered(metric: Callable[[Columns, Weights], Values]) -> Callable[[Columns, Weights], Values]:
    def of(columns: Columns, weights: Weights) -> Values:
        return metric(columns, weights * columns.answered)

    return of


def _ece(columns: Columns, weights: Weights) -> Values:
    known = ~np.isnan(columns.stated)
    stated, right = columns.stated[known], columns.is_right[known]
    drawn = (np.repeat(np.arange(len(stated)), row) for row in weights[:, known])
    errors = [expected_calibration_error(stated[rows].tolist(), right[rows].tolist()) for rows in drawn]
    return np.array([np.nan if error is None else error for error in errors])


def _mean_of_defined(each: Sequence[Values]) -> Values:
    table = np.stack(each)
    known = ~np.isnan(table)
    count = known.sum(axis=0)
    total = np.where(known, table, 0.0).sum(axis=0)
    return ratio(total, count)


FACET_STATISTICS: dict[str, Callable[[Columns, Weights], Values]] = {
    "kappa": _kappa,
    "accuracy": _accuracy,
    "macro_f1": _macro_f1,
    "jaccard": _jaccard,
    "answered_kappa": _answered(_kappa),
    "answered_accuracy": _answered(_accuracy),
    "coverage": lambda columns, weights: mean(columns.answered.astype(np.float64), weights),
    "ece": _ece,
    "evidence": _answered(lambda columns, weights: mean(columns.has_evidence, weights)),
    "neighbour_hit": lambda columns, weights: mean(columns.has_hit, weights),
}
