"""Medians of durations with their intervals, on a logarithmic axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from triage.render.charts.chart import Chart
from triage.render.charts.rows import MOST, Row, Span, rows_chart
from triage.render.charts.scales import SHORTEST, as_durations, duration_ticks
from triage.render.quantities import duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Median(NamedTuple):
    """The median of a group in seconds, its interval, and the middle half of the group; `told` says of how many."""

    name: str
    seconds: float
    interval: Span | None = None
    middle: Span | None = None
    told: str = ""


def medians_chart(id_: str, title: str, caption: str, medians: Sequence[Median], across: str = "") -> Chart:
    """A dot for each median, its interval as a band and the middle half as a line, in the order given."""
    spans = [span for one in medians[:MOST] for span in (one.interval, one.middle, (one.seconds, None)) if span]

    def scale(axes: Axes, room: float) -> None:
        as_durations(axes, duration_ticks([end for span in spans for end in span if end], room))

    rows = [
        Row(
            one.name,
            _told(one),
            max(one.seconds, SHORTEST),
            _drawable(one.interval),
            _interval(one),
            _drawable(one.middle),
        )
        for one in medians
    ]
    return rows_chart(id_, title, caption, rows, scale, across)


def _told(one: Median) -> str:
    return f"{duration(one.seconds / 60)}, {one.told}" if one.told else duration(one.seconds / 60)


def _interval(one: Median) -> str:
    if one.interval is None:
        return ""
    low, high = ("unknown" if end is None else duration(end / 60) for end in one.interval)
    return f" (interval {low} to {high})"


def _drawable(span: Span | None) -> Span | None:
    """A logarithmic axis has no 0."""
    if span is None:
        return None
    start, end = (None if one is None else max(one, SHORTEST) for one in span)
    return start, end
