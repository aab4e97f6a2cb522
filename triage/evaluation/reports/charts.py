"""Charts of a run and of a calibration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from triage.agreement import Bin, Confusion, Coverage
from triage.agreement.proportion import Proportion
from triage.pipeline.calibration import Calibrator, FacetCalibration
from triage.render.charts import (
    Chart,
    Covered,
    Series,
    Stated,
    confusion_chart,
    coverage_chart,
    panels_chart,
    reliability_chart,
    seconds_chart,
)


def chart_reliability(key: str, about: str, bins: Sequence[Bin]) -> Chart:
    """Stated probability against the share of right answers."""
    caption = (
        "On the dotted line, what is stated comes true. Bands are 95% intervals; "
        f"n = {sum(one.n for one in bins)}, in bins of equal size."
    )
    return reliability_chart(f"reliability-{key}", f"Reliability: {about}", caption, _points(bins))


def chart_coverage(key: str, about: str, curve: Sequence[Coverage]) -> Chart:
    """Accuracy against the share of cases that are answered, surest first."""
    caption = "What is right if only the surest cases are answered."
    return coverage_chart(f"coverage-{key}", f"Risk and coverage: {about}", caption, _curve(curve))


def chart_confusion(key: str, about: str, confusion: Confusion, name_of: Callable[[str], str]) -> Chart:
    """Gold against predicted labels."""
    caption = f"n = {confusion.n}. The fill is the share of the row; right ones are framed."
    names = [name_of(label) for label in confusion.labels]
    return confusion_chart(
        f"confusion-{key}", f"Confusion: {about}", caption, names, confusion.counts, "gold", "predicted"
    )


def chart_seconds(seconds: Sequence[float], marks: Mapping[str, float]) -> Chart:
    """The number of cases done within a time, with named quantiles marked."""
    dotted = f" The dotted lines are the {' and the '.join(marks)}." if marks else ""
    caption = f"How many of the {len(seconds)} cases were done within so long.{dotted}"
    return seconds_chart("seconds", "Time of a case", caption, seconds, marks)


def chart_calibration(calibrator: Calibrator) -> Chart:
    """Reliability and coverage of each facet, side by side."""
    panels = [
        panel
        for name, facet in calibrator.facets.items()
        if facet.reliability
        for panel in (_before_and_after(name, facet), _chosen(name, facet))
    ]
    caption = (
        "Left: on the dotted line, what is stated comes true; bands are 95% intervals. Right: what is right if only "
        "the surest cases are answered; the dotted line is the precision aimed at, the dot the threshold chosen, which "
        "the title tells with the share of the cases above it."
    )
    return panels_chart("calibration", f"Calibration on {calibrator.data}", caption, panels)


def _before_and_after(name: str, facet: FacetCalibration) -> Chart:
    before = None
    if facet.reliability_before and facet.ece_before is not None:
        before = Series(f"before, ECE {facet.ece_before:.2f}", _points(facet.reliability_before))
    after = "calibrated" if facet.ece is None else f"calibrated, ECE {facet.ece:.2f}"
    return reliability_chart(
        f"reliability-{name}", f"{name}, n = {facet.n}", "", _points(facet.reliability), after, before
    )


def _chosen(name: str, facet: FacetCalibration) -> Chart:
    chosen, title = None, name
    if facet.coverage is not None and facet.precision is not None:
        chosen = Covered(facet.coverage, facet.precision)
        title = f"{name}: {facet.coverage:.0%} above {facet.abstain_below:.2f}"
    return coverage_chart(f"coverage-{name}", title, "", _curve(facet.risk_coverage), facet.target_precision, chosen)


def _points(bins: Sequence[Bin]) -> tuple[Stated, ...]:
    return tuple(
        Stated(one.stated, one.right, one.n, Proportion(hits=round(one.right * one.n), n=one.n).interval)
        for one in bins
    )


def _curve(curve: Sequence[Coverage]) -> list[Covered]:
    return [Covered(one.coverage, one.accuracy) for one in curve]
