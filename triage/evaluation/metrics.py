"""The metrics of a suite, one object each in `METRICS`: to add one, add a row there."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from triage.agreement import Confusion, expected_calibration_error
from triage.agreement.distance import disagreement
from triage.agreement.interval import Floats
from triage.agreement.kappa import kappa_statistic
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import Provenance
from triage.evaluation.journal import CaseRecord
from triage.models.chat.prices import Price

ABSTAINED = "(abstained)"
"""Stands for the prediction of a case on which triage abstained. It agrees with no gold label."""

Draws = NDArray[np.int64]
"""How often each case counts in each bootstrap draw: shape (draws, cases)."""

Values = Floats
"""One value per draw, NaN where the statistic is undefined."""


class FacetCases(NamedTuple):
    """The cases that have a gold label of one facet, as arrays.

    `at` holds their positions among all cases, `stated` the probability of the likeliest label. `gold` and `predicted`
    are positions in `names` of the primary labels; `gold_sets` and `predicted_sets` have shape (cases, names).
    """

    facet: Facet
    names: tuple[str, ...]
    at: NDArray[np.intp]
    gold: NDArray[np.intp]
    predicted: NDArray[np.intp]
    gold_sets: NDArray[np.bool_]
    predicted_sets: NDArray[np.bool_]
    stated: Floats
    is_right: NDArray[np.bool_]
    has_evidence: Floats
    has_hit: Floats

    @classmethod
    def of(cls, records: Sequence[CaseRecord], facet: Facet) -> FacetCases:
        """The labelled ones among `records`."""
        labelled = [(n, record) for n, record in enumerate(records) if record.gold.get(facet.id)]
        gold = [record.gold[facet.id] for _, record in labelled]
        predicted = [record.predicted.get(facet.id, ()) for _, record in labelled]
        names = tuple(dict.fromkeys([*facet.ids, *(label for one in (*gold, *predicted) for label in one), ABSTAINED]))
        code = {name: n for n, name in enumerate(names)}
        best = [_likeliest(record.distributions.get(facet.id, {})) for _, record in labelled]
        hits = [any(r.gold[facet.id][0] in n.labels.get(facet.id, ()) for n in r.neighbours) for _, r in labelled]
        return cls(
            facet=facet,
            names=names,
            at=np.array([n for n, _ in labelled], dtype=np.intp),
            gold=np.array([code[labels[0]] for labels in gold], dtype=np.intp),
            predicted=np.array([code[labels[0] if labels else ABSTAINED] for labels in predicted], dtype=np.intp),
            gold_sets=_as_sets(gold, code),
            predicted_sets=_as_sets(predicted, code),
            stated=np.array([probability for _, probability in best]),
            is_right=np.array([label == labels[0] for (label, _), labels in zip(best, gold, strict=True)], dtype=bool),
            has_evidence=np.array([float(record.evidence.get(facet.id, 0) > 0) for _, record in labelled]),
            has_hit=np.array(hits, dtype=np.float64),
        )

    @property
    def is_multi(self) -> bool:
        """True if the facet takes several labels of equal standing."""
        return self.facet.cardinality == "multi"

    @property
    def answered(self) -> NDArray[np.bool_]:
        """Which cases were not abstained on."""
        return np.asarray(self.predicted_sets.any(axis=1), dtype=bool)

    def confusion(self, *, answered_only: bool = False) -> Confusion:
        """Gold against predicted primary labels, in the order of the taxonomy."""
        counted = self.answered if answered_only else np.ones(len(self.at), dtype=bool)
        gold, predicted = ([self.names[code] for code in codes[counted]] for codes in (self.gold, self.predicted))
        return Confusion.of(gold, predicted, self.facet.ids)


class Round:
    """The finished cases of one round of a run. `flips` is the share of each case's labels that change between rounds.

    Tokens, calls and costs are those of a run that takes nothing from a cache, so that runs can be compared.
    """

    def __init__(self, records: Sequence[CaseRecord], taxonomy: Taxonomy, price: Price | None, flips: Floats) -> None:
        self.records = records
        self.price = price
        self.flips = flips
        self._taxonomy = taxonomy
        self._facets: dict[str, FacetCases] = {}

    def facet(self, facet_id: str) -> FacetCases:
        """The cases with a gold label of a facet."""
        if facet_id not in self._facets:
            self._facets[facet_id] = FacetCases.of(self.records, self._taxonomy.facet(facet_id))
        return self._facets[facet_id]

    def spent(self, amount: Callable[[Provenance], float]) -> Floats:
        """What each case took; NaN where it has no provenance."""
        return np.array([amount(r.provenance) if r.provenance else np.nan for r in self.records], dtype=np.float64)


@dataclass(frozen=True)
class FacetMetric:
    """A metric of one facet, written `NAME.FACET`.

    `statistic` gives its value for each draw. What these cases never show may still happen, so the interval of a share
    (`is_share`) stays open where all draws are alike. A statistic that jumps with single cases (not `is_smooth`) gets a
    percentile interval instead of BCa.
    """

    name: str
    meaning: str
    statistic: Callable[[FacetCases, Draws], Values]
    undefined: str = "no case has it"
    is_share: bool = False
    is_answered_only: bool = False
    is_smooth: bool = True
    is_less_better: bool = False
    is_of_facet = True
    is_exact = False
    is_cost = False
    unit = ""

    @property
    def is_kappa(self) -> bool:
        """True for Cohen's kappa, on whichever cases."""
        return self.statistic is kappa

    def values(self, cases: Round, facet: str, draws: Draws) -> Values:
        """The metric for each draw of the cases of one round."""
        labelled = cases.facet(facet)
        counted = draws[:, labelled.at]
        return self.statistic(labelled, counted * labelled.answered if self.is_answered_only else counted)


@dataclass(frozen=True)
class RunMetric:
    """A metric of a whole run, named `WHAT.HOW`: `figures` are one number for each case, HOW says how they add up.

    Totals and counts are exact (`is_exact`): they have no interval. All are the better the smaller they are.
    """

    name: str
    meaning: str
    figures: Callable[[Round], Floats]
    undefined: str = "it is not recorded"
    unit: str = ""
    is_smooth: bool = True
    is_of_facet = False
    is_answered_only = False
    is_kappa = False
    is_less_better = True

    @property
    def how(self) -> str:
        return self.name.partition(".")[2]

    @property
    def is_exact(self) -> bool:
        return self.how in ("total", "count")

    @property
    def is_share(self) -> bool:
        return self.how == "share"

    @property
    def is_cost(self) -> bool:
        """True for what is listed among the costs of a run."""
        return self.how not in ("share", "count")

    def values(self, cases: Round, _: str, draws: Draws) -> Values:
        """The metric for each draw of the cases of one round."""
        return _SUMMARIES[self.how](self.figures(cases), draws)


Metric = FacetMetric | RunMetric


def find_metric(name: str) -> tuple[Metric, str]:
    """The metric of `kappa.category` or `cost.total`, and the facet's id or an empty text."""
    if name in METRICS:
        return METRICS[name], ""
    base, _, facet = name.partition(".")
    return METRICS[base], facet


def check_metric(name: str, facets: Sequence[str] = (), text: str = "") -> None:
    """Raise `ValueError` with a hint if there is no such metric. `text` is what the name was read from."""
    base, _, facet = name.partition(".")
    is_of_facet = base in METRICS
    if (name in METRICS and not is_of_facet) or (is_of_facet and facet and (not facets or facet in facets)):
        return
    text = text or name
    if is_of_facet and facets:
        problem = f"has no facet {facet!r}" if facet else "needs a facet"
        raise ValueError(f"{text!r}: {base} {problem}; the suite scores {', '.join(facets)}")
    known = [f"{one.name}.FACET" if one.is_of_facet else one.name for one in METRICS.values()]
    close = difflib.get_close_matches(base, METRICS, n=3) or known
    raise ValueError(f"{text!r}: unknown metric {name!r}; there are {', '.join(close)}")


def default_metrics(facets: Sequence[Facet]) -> list[str]:
    """The metrics that are shown where a suite names none. Calibration is measured on facets with one label."""
    each = [
        f"{name}.{facet.id}"
        for facet in facets
        for name in _DEFAULTS_OF_FACET
        if facet.cardinality != "multi" or name != "ece"
    ]
    return [*each, *_DEFAULTS_OF_RUN]


def ratio(above: NDArray[Any], below: NDArray[Any]) -> Values:
    """`above` over `below`; NaN where `below` is 0."""
    return np.asarray(np.divide(above, below, out=np.full(np.shape(above), np.nan), where=below > 0))


def mean(figures: Floats, draws: Draws) -> Values:
    """The mean of one figure per case, for each draw."""
    return ratio(draws @ figures, draws.sum(axis=1))


def kappa(cases: FacetCases, draws: Draws) -> Values:
    """Cohen's kappa for each draw; the mean over the labels where a facet takes several of equal standing."""
    times = draws.astype(np.float64)
    if not cases.is_multi:
        return kappa_statistic(cases.gold, cases.predicted, disagreement(len(cases.names)))(times)
    sets = zip(cases.gold_sets.T.astype(np.intp), cases.predicted_sets.T.astype(np.intp), strict=True)
    return _mean_of_defined([kappa_statistic(gold, predicted, disagreement(2))(times) for gold, predicted in sets])


def _likeliest(distribution: Mapping[str, float]) -> tuple[str, float]:
    label = max(distribution, key=lambda one: distribution[one], default="")
    return label, distribution.get(label, np.nan)


def _as_sets(labels: Sequence[Sequence[str]], code: Mapping[str, int]) -> NDArray[np.bool_]:
    sets = np.zeros((len(labels), len(code)), dtype=bool)
    for row, ids in enumerate(labels):
        sets[row, [code[one] for one in ids]] = True
    return sets


def _total(figures: Floats, draws: Draws) -> Values:
    return np.asarray(draws @ figures, dtype=np.float64)


def _quantile(q: float) -> Callable[[Floats, Draws], Values]:
    """The smallest figure that at least the share `q` of the drawn figures does not exceed."""

    def of(figures: Floats, draws: Draws) -> Values:
        order = np.argsort(figures, kind="stable")
        upto = draws[:, order].cumsum(axis=1)
        least = np.maximum(np.ceil(q * upto[:, -1:]), 1)
        return np.asarray(figures[order][(upto >= least).argmax(axis=1)], dtype=np.float64)

    return of


def _accuracy(cases: FacetCases, draws: Draws) -> Values:
    hits = (cases.gold_sets == cases.predicted_sets).all(axis=1) if cases.is_multi else cases.gold == cases.predicted
    return mean(hits.astype(np.float64), draws)


def _coverage(cases: FacetCases, draws: Draws) -> Values:
    return mean(cases.answered.astype(np.float64), draws)


def _macro_f1(cases: FacetCases, draws: Draws) -> Values:
    gold, predicted = cases.gold_sets, cases.predicted_sets
    if not cases.is_multi:
        identity = np.eye(len(cases.names), dtype=bool)[:, :-1]  # without the abstention, which is no label
        gold, predicted = identity[cases.gold], identity[cases.predicted]
    hits = draws @ (gold & predicted).astype(np.float64)
    either = draws @ gold.astype(np.float64) + draws @ predicted.astype(np.float64)
    return _mean_of_defined(list(ratio(2 * hits, either).T))


def _jaccard(cases: FacetCases, draws: Draws) -> Values:
    both = (cases.gold_sets & cases.predicted_sets).sum(axis=1)
    either = (cases.gold_sets | cases.predicted_sets).sum(axis=1)
    return mean(np.divide(both, either, out=np.ones(len(both)), where=either > 0), draws)


def _calibration_error(cases: FacetCases, draws: Draws) -> Values:
    known = ~np.isnan(cases.stated)
    stated, right = cases.stated[known], cases.is_right[known]
    drawn = (np.repeat(np.arange(len(stated)), row) for row in draws[:, known])
    errors = [expected_calibration_error(stated[rows].tolist(), right[rows].tolist()) for rows in drawn]
    return np.array([np.nan if error is None else error for error in errors])


def _mean_of_defined(each: Sequence[Values]) -> Values:
    table = np.stack(each)
    known = ~np.isnan(table)
    return ratio(np.where(known, table, 0.0).sum(axis=0), known.sum(axis=0))


_SUMMARIES = {
    "total": _total,
    "count": _total,
    "mean": mean,
    "share": mean,
    "median": _quantile(0.5),
    "p95": _quantile(0.95),
}

_ONE_LABEL = "both sides use one label only, or no case has a gold label"
_NO_PRICE = "the price of the model is not known: set TRIAGE_PRICES"


def _costs(cases: Round) -> Floats:
    price = cases.price
    if price is None:
        return _unknown(cases)
    return cases.spent(lambda p: price.of(p.prompt_tokens, p.completion_tokens))


def _tokens(cases: Round) -> Floats:
    return cases.spent(lambda p: p.prompt_tokens + p.completion_tokens)


def _seconds(cases: Round) -> Floats:
    return np.array([record.seconds for record in cases.records], dtype=np.float64)


def _degraded(cases: Round) -> Floats:
    return np.array([float(record.degraded) for record in cases.records])


def _unknown(cases: Round) -> Floats:
    return np.full(len(cases.records), np.nan)


METRICS: Mapping[str, Metric] = {
    metric.name: metric
    for metric in (
        FacetMetric(
            "kappa",
            "Cohen's kappa against the gold labels, an abstention counted as wrong; the mean over labels with several",
            kappa,
            _ONE_LABEL,
            is_share=True,
        ),
        FacetMetric(
            "accuracy", "share of cases with the gold label; an abstention is no hit", _accuracy, is_share=True
        ),
        FacetMetric("macro_f1", "mean F1 over the labels that either side uses", _macro_f1),
        FacetMetric("jaccard", "mean overlap of the label sets", _jaccard),
        FacetMetric(
            "answered_kappa",
            "kappa of the cases that were not abstained on",
            kappa,
            _ONE_LABEL,
            is_share=True,
            is_answered_only=True,
        ),
        FacetMetric(
            "answered_accuracy",
            "accuracy of the cases that were not abstained on",
            _accuracy,
            is_share=True,
            is_answered_only=True,
        ),
        FacetMetric("coverage", "share of cases that were not abstained on", _coverage, is_share=True),
        FacetMetric(
            "ece",
            "expected calibration error of the stated probabilities",
            _calibration_error,
            "no probabilities are recorded",
            is_smooth=False,
            is_less_better=True,
        ),
        FacetMetric(
            "evidence",
            "share of labelled cases whose label has a span of the write-up",
            lambda cases, draws: mean(cases.has_evidence, draws),
            is_share=True,
            is_answered_only=True,
        ),
        FacetMetric(
            "neighbour_hit",
            "share of cases with a neighbour that has the same gold label",
            lambda cases, draws: mean(cases.has_hit, draws),
            is_share=True,
        ),
        RunMetric("cost.total", "what the run cost, in the currency of the prices", _costs, _NO_PRICE),
        RunMetric("cost.mean", "what a case cost", _costs, _NO_PRICE),
        RunMetric("tokens.total", "prompt and completion tokens", _tokens),
        RunMetric("tokens.mean", "tokens of a case", _tokens),
        RunMetric("calls.total", "calls of the model", lambda cases: cases.spent(lambda p: p.model_calls)),
        RunMetric("retries.total", "calls that had to be repeated", lambda cases: cases.spent(lambda p: p.retries)),
        RunMetric("latency.median", "seconds of a case, median", _seconds, unit="s", is_smooth=False),
        RunMetric("latency.p95", "seconds of a case, 95th percentile", _seconds, unit="s", is_smooth=False),
        RunMetric("latency.mean", "seconds of a case, mean", _seconds, unit="s", is_smooth=False),
        # A round holds no failed case: gates count those in the journal.
        RunMetric("failed.share", "share of cases that failed", _unknown),
        RunMetric("failed.count", "cases that failed", _unknown),
        RunMetric("degraded.share", "share of cases whose answer is degraded: a model failed", _degraded),
        RunMetric("degraded.count", "cases whose answer is degraded", _degraded),
        RunMetric(
            "flips.share",
            "share of labels that change between repeats of the same run",
            lambda cases: cases.flips,
            "the run has no repeats: set `repeats: 2` or more in the suite",
        ),
    )
}
"""Every metric by name."""

_DEFAULTS_OF_FACET = ("kappa", "accuracy", "macro_f1", "coverage", "ece", "evidence", "neighbour_hit")
_DEFAULTS_OF_RUN = ("latency.median", "latency.p95", "tokens.mean", "degraded.share")
