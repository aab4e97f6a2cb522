"""Counts by month, with the levels at which they ran."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.render.charts.canvas import Canvas
from triage.render.charts.chart import NARROW, WIDE, Chart, Size
from triage.render.charts.scales import month_ticks


class Month(NamedTuple):
    """A month (`YYYY-MM`) and what was counted in it."""

    month: str
    n: int


class Level(NamedTuple):
    """The mean a month, from the month `first` to the month `last`."""

    first: str
    last: str
    mean: float


def months_chart(
    id_: str, title: str, caption: str, months: Sequence[Month], levels: Sequence[Level] = (), up: str = ""
) -> Chart:
    """A bar for each month, one after the other without gaps, and a line for each level."""
    names, counts = [one.month for one in months], [one.n for one in months]

    def draw(canvas: Canvas) -> None:
        if not months:
            canvas.say_nothing_to_show()
            return
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

    alt = "Nothing to show yet."
    if months:
        alt = f"{names[0]} to {names[-1]}: {sum(counts)} in all, at most {max(counts)} in a month ({_peak(months)})."
        alt += "".join(f" {level.first} to {level.last}: {level.mean:.3g} a month." for level in levels)
    return Chart(id_, title, caption, alt, draw, Size(WIDE, 230), Size(NARROW, 210))


def _peak(months: Sequence[Month]) -> str:
    return max(months, key=lambda one: one.n).month
