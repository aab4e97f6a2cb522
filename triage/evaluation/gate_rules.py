"""Gates as suites write them: `kappa.category.low >= 0.7`, `delta.accuracy.category >= -0.02 vs main`."""

from __future__ import annotations

import math
import re
from typing import Literal, NamedTuple

from triage.evaluation.metrics import check_metric

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

    Without a `bound` the whole interval must meet the condition. If `is_delta`, the metric is the difference to the run
    named `base` on the same cases.
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
        """True if `value` meets the condition."""
        if math.isclose(value, self.threshold, rel_tol=1e-12, abs_tol=1e-12):
            # Rounding in the last digit of a kappa must not decide.
            return self.operator.endswith("=")
        return (value > self.threshold) == self.wants_more


def parse_gate(text: str, facets: tuple[str, ...] = ()) -> Gate:
    """Parse a gate. Raises `ValueError` with a hint. Without `facets` any facet is accepted."""
    found = _GATE.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a gate: {_EXAMPLE}")
    parts = found["left"].split(".")
    is_delta = parts[0] == "delta"
    if is_delta:
        parts = parts[1:]
    bound: Bound | None = None
    if len(parts) > 1 and parts[-1] in ("low", "high", "point"):
        bound = parts.pop()  # type: ignore[assignment]
    metric = ".".join(parts)
    check_metric(metric, facets, text)
    if is_delta != (found["base"] is not None):
        raise ValueError(f"{text!r}: use `delta.` and `vs RUN` together; {_EXAMPLE}")
    threshold = float(found["number"].replace("_", "")) * _UNITS[found["unit"] or ""]
    return Gate(" ".join(text.split()), metric, found["operator"], threshold, bound, is_delta, found["base"])  # type: ignore[arg-type]
