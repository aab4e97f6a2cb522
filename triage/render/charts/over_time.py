"""A figure over time with its interval as a band, and gaps where it is not known."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from triage.render.charts.canvas import Canvas
from triage.render.charts.chart import NARROW, WIDE, Chart, Size
from triage.render.charts.scales import day_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Moment(NamedTuple):
    """The figure at a day, with its interval; None where it is not known. `n` says of how many."""

    day: date
    value: float | None
    interval: tuple[float, float] | None = None
    n: int | None = None


class Goal(NamedTuple):
    """A value that the figure ought to reach, and what it is called, as `gate 0.70`."""

    value: float
    name: str


def over_time_chart(
    id_: str, title: str, caption: str, moments: Sequence[Moment], goal: Goal | None = None, up: str = ""
) -> Chart:
    """A line through the moments in the order given, broken where a value is None; up to 1, and from 0 or below."""
    runs = list(_runs(moments))
    known = [one for run in runs for one in run]
    lowest = min((one.interval[0] if one.interval else one.value or 0.0 for one in known), default=0.0)
    highest = max((one.interval[1] if one.interval else one.value or 0.0 for one in known), default=1.0)

    def draw(canvas: Canvas) -> None:
        if not known:
            canvas.say_nothing_to_show()
            return
        muted, drawn = canvas.colours.muted, canvas.colours.drawn
        axes = canvas.axes(left=44, right=14, bottom=26)
        for run in runs:
            days = [one.day.toordinal() for one in run]
            # Moments without an interval part the band, too.
            for has_band, part in itertools.groupby(run, key=lambda one: one.interval is not None):
                if has_band:
                    _band(canvas, axes, list(part))
            axes.plot(
                days,
                [one.value or 0.0 for one in run],
                "o-",
                color=drawn,
                linewidth=2,
                markersize=_dot(len(known)),
                clip_on=False,
            )
        first, last = moments[0].day, moments[-1].day
        ticks = day_ticks(first, last, canvas.size.width - 52)
        axes.set_xticks([tick.at for tick in ticks], [tick.text for tick in ticks])
        axes.grid(visible=False, axis="x")
        margin = 0.5 if first == last else 0
        axes.set_xlim(first.toordinal() - margin, last.toordinal() + margin)
        axes.set_ylim(min(0.0, lowest - 0.03), max(1.0, highest))
        if goal is not None:
            axes.axhline(goal.value, color=muted, linewidth=1.5, linestyle=(0, (2, 2)))
        canvas.name_axes(axes, up="; dotted: ".join(filter(None, (up, goal and goal.name))))

    return Chart(id_, title, caption, _told(moments, known, goal), draw, Size(WIDE, 240), Size(NARROW, 220))


def _runs(moments: Sequence[Moment]) -> Iterator[list[Moment]]:
    """The stretches of moments whose value is known."""
    for is_known, run in itertools.groupby(moments, key=lambda one: one.value is not None and math.isfinite(one.value)):
        if is_known:
            yield list(run)


def _band(canvas: Canvas, axes: Axes, part: Sequence[Moment]) -> None:
    days = [one.day.toordinal() for one in part]
    low, high = zip(*(one.interval for one in part if one.interval), strict=True)
    if len(part) == 1:
        axes.plot(days * 2, [*low, *high], color=canvas.colours.drawn, alpha=0.4, linewidth=5, solid_capstyle="butt")
    else:
        axes.fill_between(days, low, high, color=canvas.colours.drawn, alpha=0.22, linewidth=0)


def _dot(moments: int) -> float:
    return 6.0 if moments <= 20 else 4.0 if moments <= 60 else 0.0


def _told(moments: Sequence[Moment], known: Sequence[Moment], goal: Goal | None) -> str:
    if not known:
        return "Nothing to show yet."
    lowest = min(known, key=lambda one: one.value or 0.0)
    gaps = len(moments) - len(known)
    told = f"{moments[0].day} to {moments[-1].day}: first {_moment(known[0])}, last {_moment(known[-1])}"
    told += f", lowest {_moment(lowest)}" + (f"; not known at {gaps} of {len(moments)} moments" if gaps else "")
    return f"{told}{f'; {goal.name}' if goal else ''}."


def _moment(one: Moment) -> str:
    interval = f" ({one.interval[0]:.2f} to {one.interval[1]:.2f})" if one.interval else ""
    n = f", n = {one.n}" if one.n is not None else ""
    return f"{one.value or 0.0:.2f}{interval}{n} on {one.day}"
