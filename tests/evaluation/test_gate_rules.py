"""Gates are read as people write them."""

from __future__ import annotations

import pytest

from triage.evaluation.gate_rules import parse_gate


@pytest.mark.parametrize(
    ("text", "metric", "operator", "threshold", "bound", "base"),
    [
        ("kappa.category.low >= 0.7", "kappa.category", ">=", 0.7, "low", None),
        ("kappa.category>=.7", None, None, None, None, None),
        ("cost.total <= 2.0", "cost.total", "<=", 2.0, None, None),
        ("latency.p95 <= 8s", "latency.p95", "<=", 8.0, None, None),
        ("latency.median < 800 ms", "latency.median", "<", 0.8, None, None),
        ("degraded.share <= 5%", "degraded.share", "<=", 0.05, None, None),
        ("tokens.total <= 1_000_000", "tokens.total", "<=", 1_000_000, None, None),
        ("delta.kappa.category >= -0.02 vs main", "kappa.category", ">=", -0.02, None, "main"),
        ("delta.cost.mean.high <= 0.001 vs runs/a-b.c", "cost.mean", "<=", 0.001, "high", "runs/a-b.c"),
    ],
)
def test_a_gate_says_metric_condition_and_base(
    text: str, metric: str | None, operator: str, threshold: float, bound: str | None, base: str | None
) -> None:
    if metric is None:
        with pytest.raises(ValueError, match="is not a gate: write it like"):
            parse_gate(text)
        return
    gate = parse_gate(text, ("category",))
    assert (gate.metric, gate.operator, gate.bound, gate.base) == (metric, operator, bound, base)
    assert gate.threshold == pytest.approx(threshold)
    assert gate.is_delta == (base is not None)


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [(">=", False, True, True), (">", False, False, True), ("<=", True, True, False), ("<", True, False, False)],
)
def test_a_gate_holds_on_its_side_of_the_threshold(operator: str, below: bool, at: bool, above: bool) -> None:
    gate = parse_gate(f"accuracy.cause {operator} 0.5")
    assert [gate.holds(value) for value in (0.4, 0.5, 0.6)] == [below, at, above]
