"""Gates as they stand in a suite: `kappa.category.low >= 0.7`, `delta.accuracy.category >= -0.02 vs main`."""

from __future__ import annotations

import difflib
import re
from typing import Literal, NamedTuple

FACET_METRICS = {
    "kappa": "Cohen's kappa against the gold labels; the mean per-label kappa where a facet takes several labels",
    "accuracy": "share of cases with the gold label; an abstention is no hit",
    "macro_f1": "mean F1 over the labels that either side uses",
    "jaccard": "mean overlap of the label sets",
    "answered_kappa": "kappa of the cases that were not abstained on",
    "answered_accuracy": "accuracy of the cases that were not abstained on",
    "coverage": "share of cases that were not abstained on",
    "ece": "expected calibration error of the stated probabilities",
    "evidence": "share of labelled cases whose label has a span of the write-up",
    "neighbour_hit": "share of cases with a neighbour that has the same gold label",
}
"""Metrics of one facet: `NAME.FACET`."""

RUN_METRICS = {
    "cost.total": "what the run cost, in the currency of the prices",
    "cost.mean": "what a case cost",
    "tokens.total": "prompt and completion tokens",
    "tokens.mean": "tokens of a case",
    "calls.total": "calls of the model",
    "retries.total": "calls that had to be repeated",
    "latency.median": "seconds of a case, median",
    "latency.p95": "seconds of a case, 95th percentile",
    "latency.mean": "seconds of a case, mean",
    "failed.share": "share of cases that failed",
    "failed.count": "cases that failed",
    "degraded.share": "share of cases answered without the model",
    "degraded.count": "cases answered without the model",
    "flips.share": "share of labels that change between repeats of the same run",
}
"""Metrics of the whole run."""

Bound = Literal["low", "high", "point"]
Operator = Literal[">=", ">", "<=", "<"]

_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001, "min": 60.0, "%": 0.01}
_GATE = re.compile(
    r"^\s*(?P<left>[a-z0-9_.]+)\s*(?P<operator>>=|<=|>|<)\s*(?P<number>[-+]?\d[\d_]*(?:\.\d+)?(?:e-?\d+)?)"
    r"\s*(?P<unit>ms|min|s|%)?(?:\s+vs\s+(?P<base>\S+))?\s*$"
)
_EXAMPLE = "write it like 'kappa.category.low >= 0.7', 'latency.p95 <= 8s' or 'delta.kappa.category >= -0.02 vs main'"


class Gate(NamedTuple):
    """One condition that a run must meet.

    Without a `bound` the interval decides: the whole of it must lie on the right side. With `delta` the metric is the
    difference to the run named `base` on the same cases.
    """

    text: str
    metric: str
    operator: Operator
    threshold: float
    bound: Bound | None = None
    is_delta: bool = False
    base: str | None = None

    @property
    def wants_more(self) -> bool:
        """True if higher is better: `>=` and `>`."""
        return self.operator.startswith(">")

    def holds(self, value: float) -> bool:
        """Whether `value` meets the condition."""
        match self.operator:
            case ">=":
                return value >= self.threshold
            case ">":
                return value > self.threshold
            case "<=":
                return value <= self.threshold
            case "<":
                return value < self.threshold


def parse_gate(text: str, facets: tuple[str, ...] = ()) -> Gate:
    """A gate from its text. Raises `ValueError` with a hint; `facets` are those that there are (any, if empty)."""
    found = _GATE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no gate: {_EXAMPLE}")
    parts = found["left"].split(".")
    is_delta = parts[0] == "delta"
    if is_delta:
        parts = parts[1:]
    bound: Bound | None = None
    if len(parts) > 1 and parts[-1] in ("low", "high", "point"):
        bound = parts.pop()  # type: ignore[assignment]
    metric = ".".join(parts)
    _check_metric(text, metric, facets)
    if is_delta != (found["base"] is not None):
        raise ValueError(f"{text!r}: `delta.` and `vs RUN` belong together; {_EXAMPLE}")
    threshold = float(found["number"].replace("_", "")) * _UNITS[found["unit"] or ""]
    return Gate(" ".join(text.split()), metric, found["operator"], threshold, bound, is_delta, found["base"])  # type: ignore[arg-type]


def check_metric_name(metric: str, facets: tuple[str, ...] = ()) -> None:
    """Raise `ValueError` with a hint where there is no such metric."""
    _check_metric(metric, metric, facets)


def _check_metric(text: str, metric: str, facets: tuple[str, ...]) -> None:
    name, _, facet = metric.partition(".")
    if metric in RUN_METRICS or (name in FACET_METRICS and facet and (not facets or facet in facets)):
        return
    if name in FACET_METRICS and facets:
        said = f"has no facet {facet!r}" if facet else "names no facet"
        raise ValueError(f"{text!r}: {name} {said}; the suite scores {', '.join(facets)}")
    known = [*(f"{one}.FACET" for one in FACET_METRICS), *RUN_METRICS]
    close = difflib.get_close_matches(name, [*FACET_METRICS, *RUN_METRICS], n=3) or known
    raise ValueError(f"{text!r}: {metric!r} is no metric; there are {', '.join(close)}")
