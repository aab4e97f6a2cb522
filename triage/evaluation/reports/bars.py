"""Small bars beside numbers: where a figure and its interval lie on a scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.agreement import Interval
from triage.evaluation.compare import Difference
from triage.evaluation.gate_rules import FACET_METRICS
from triage.evaluation.metrics import Measured


class Bar(NamedTuple):
    """Positions in percent of the scale's width; `zero` is None where 0 is an end of the scale."""

    value: float
    low: float
    high: float
    zero: float | None
    scale: str


def bar_of(measured: Measured) -> Bar | None:
    """A metric on its natural scale: shares and kappa up to 1, all else from 0 to the end of its interval."""
    if measured.value is None or measured.interval is None:
        return None
    if _is_of_facet(measured.metric) or measured.metric.endswith(".share"):
        return _bar(measured.value, measured.interval, min(0.0, -1.0 * (measured.interval.low < 0)), 1.0)
    return _bar(measured.value, measured.interval, min(0.0, measured.interval.low), measured.interval.high * 1.1)


def bars_of(differences: Sequence[Difference]) -> list[Bar | None]:
    """Differences around 0: those of the facets' metrics on one scale, each other one on its own."""
    alike = [_reach(one.interval) for one in differences if _is_of_facet(one.metric) and one.interval]
    widest = max(alike, default=0.0)
    bars: list[Bar | None] = []
    for one in differences:
        if one.value is None or one.interval is None:
            bars.append(None)
            continue
        reach = (widest if _is_of_facet(one.metric) else _reach(one.interval)) * 1.1
        bars.append(_bar(one.value, one.interval, -reach, reach))
    return bars


def _is_of_facet(metric: str) -> bool:
    return metric.partition(".")[0] in FACET_METRICS


def _reach(interval: Interval) -> float:
    return max(abs(interval.low), abs(interval.high))


def _bar(value: float, interval: Interval, start: float, end: float) -> Bar | None:
    if end <= start:
        return None

    def at(figure: float) -> float:
        return round(min(max(100 * (figure - start) / (end - start), 0.0), 100.0), 2)

    zero = at(0.0) if start < 0 < end else None
    return Bar(at(value), at(interval.low), at(interval.high), zero, f"{start:.3g} to {end:.3g}")
