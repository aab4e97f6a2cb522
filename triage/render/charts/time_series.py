"""Time series: counts by month, and a figure over days with its interval."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

from triage.render.charts.canvas import Canvas
from triage.render.charts.chart import NARROW, WIDE, Chart, Size
from triage.render.charts.scales import day_ticks, month_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Month(NamedTuple):
    """A month (`YYYY-MM`) and its count."""

    month: str
    n: int


class Level(NamedTuple):
    """The monthly mean from the month `first` to the month `last`."""

    first: str
    last: str
    mean: float


class Moment(NamedTuple):
    """A figure at a day, with its interval; None where unknown. `n` is the number of cases behind it."""

    day: date
    value: float | None
    interval: tuple[float, float] | None = None
    n: int | None = None


class Goal(NamedTuple):
    """A value that the figure should reach, and its name, such as `gate 0.70`."""

    value: float
    name: str


def months_chart(
    id_: str, title: str, caption: str, months: Sequence[Month], levels: Sequence[Level] = (), up: str = ""
) -> Chart:
    """A bar for each month, without gaps between months, and a line for each level. `up` names the vertical axis."""
    names, counts = [month.month for month in months], [month.n for month in months]

    def draw(canvas: Canvas) -> None:
        from matplotlib.ticker import MaxNLocator

        axes = canvas.axes(left=40, bottom=26)
        axes.bar(range(len(counts)), counts, width=0.8, color=canvas.colours.drawn, alpha=0.65)
        for level in levels:
            span = (names.index(level.first) - 0.5, names.index(level.last) + 0.5)
            axes.plot(span, [level.mean] * 2, color=canvas.colours.ink, linewidth=2, solid_capstyle="butt")
        ticks = month_ticks(names, canvas.size.width - 44)
        axes.set_xticks([tick.at for tick in ticks], [tick.text for tick in ticks])
        axes.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True, min_n_ticks=2))
        axes.grid(visible=False, axis="x")
        axes.set(xlim=(-0.6, len(counts) - 0.4), ylim=(0, 1.05 * max(*counts, 1)))
        canvas.name_axes(axes, up=up)

    alt = ""
    if months:
        peak = max(months, key=lambda month: month.n)
        alt = f"{names[0]} to {names[-1]}: {sum(counts)} in all, at most {peak.n} in a month ({peak.month})."
        alt += "".join(f" {level.first} to {level.last}: {level.mean:.3g} a month." for level in levels)
    return Chart(id_, title, caption, alt, draw, Size(WIDE, 230), Size(NARROW, 210))


def over_time_chart(
    id_: str, title: str, caption: str, moments: Sequence[Moment], goal: Goal | None = None, up: str = ""
) -> Chart:
    """A line through the moments, broken at unknown values. The axis reaches from 0 (or below) to 1 (or above)."""
    runs = list(_known_runs(moments))
    known = [moment for run in runs for moment in run]
    lowest = min((m.interval[0] if m.interval else m.value or 0.0 for m in known), default=0.0)
    highest = max((m.interval[1] if m.interval else m.value or 0.0 for m in known), default=1.0)

    def draw(canvas: Canvas) -> None:
        muted, drawn = canvas.colours.muted, canvas.colours.drawn
        axes = canvas.axes(left=44, right=14, bottom=26)
        dot = 6.0 if len(known) <= 20 else 4.0 if len(known) <= 60 else 0.0
        for run in runs:
            # Moments without an interval break the band, too.
            for has_band, part in itertools.groupby(run, key=lambda moment: moment.interval is not None):
                if has_band:
                    _draw_band(canvas, axes, list(part))
            days, values = [moment.day.toordinal() for moment in run], [moment.value or 0.0 for moment in run]
            axes.plot(days, values, "o-", color=drawn, linewidth=2, markersize=dot, clip_on=False)
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

    alt = _describe(moments, known, goal) if known else ""
    return Chart(id_, title, caption, alt, draw, Size(WIDE, 240), Size(NARROW, 220))


def _known_runs(moments: Sequence[Moment]) -> Iterator[list[Moment]]:
    def is_known(moment: Moment) -> bool:
        return moment.value is not None and math.isfinite(moment.value)

    return (list(run) for known, run in itertools.groupby(moments, key=is_known) if known)


def _draw_band(canvas: Canvas, axes: Axes, part: Sequence[Moment]) -> None:
    days = [moment.day.toordinal() for moment in part]
    low, high = zip(*(moment.interval for moment in part if moment.interval), strict=True)
    if len(part) == 1:
        axes.plot(days * 2, [*low, *high], color=canvas.colours.drawn, alpha=0.4, linewidth=5, solid_capstyle="butt")
    else:
        axes.fill_between(days, low, high, color=canvas.colours.drawn, alpha=0.22, linewidth=0)


def _describe(moments: Sequence[Moment], known: Sequence[Moment], goal: Goal | None) -> str:
    lowest = min(known, key=lambda moment: moment.value or 0.0)
    gaps = len(moments) - len(known)
    text = f"{moments[0].day} to {moments[-1].day}: first {_describe_moment(known[0])}, "
    text += f"last {_describe_moment(known[-1])}, lowest {_describe_moment(lowest)}"
    text += f"; not known at {gaps} of {len(moments)} moments" if gaps else ""
    return f"{text}{f'; {goal.name}' if goal else ''}."


def _describe_moment(moment: Moment) -> str:
    interval = f" ({moment.interval[0]:.2f} to {moment.interval[1]:.2f})" if moment.interval else ""
    n = f", n = {moment.n}" if moment.n is not None else ""
    return f"{moment.value or 0.0:.2f}{interval}{n} on {moment.day}"
