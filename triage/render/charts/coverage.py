"""Risk and coverage: how much is right among the surest cases, for every share of the cases that is answered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.render.charts.canvas import Canvas
from triage.render.charts.chart import NARROW, Chart, Size
from triage.render.charts.scales import as_percent
from triage.render.quantities import percent


class Covered(NamedTuple):
    """When the share `coverage` of the cases is answered, surest first, the share `accuracy` of them is right."""

    coverage: float
    accuracy: float


def coverage_chart(
    id_: str,
    title: str,
    caption: str,
    curve: Sequence[Covered],
    target: float | None = None,
    chosen: Covered | None = None,
) -> Chart:
    """The curve as steps, with the accuracy aimed at as a dotted line and the threshold in use as a dot."""

    def draw(canvas: Canvas) -> None:
        if not curve:
            canvas.say_nothing_to_show()
            return
        muted, drawn = canvas.colours.muted, canvas.colours.drawn
        axes = canvas.axes(left=48, right=18)
        coverages, accuracies = [one.coverage for one in curve], [one.accuracy for one in curve]
        axes.plot(coverages, accuracies, drawstyle="steps-post", color=drawn, linewidth=2, clip_on=False)
        if target is not None:
            axes.axhline(target, color=muted, linewidth=1.5, linestyle=(0, (2, 2)))
        if chosen is not None:
            axes.plot([chosen.coverage], [chosen.accuracy], "o", color=drawn, markersize=9, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        as_percent(axes.xaxis)
        as_percent(axes.yaxis)
        canvas.name_axes(axes, "cases answered, surest first", "right among them")

    alt = "Nothing to show yet."
    if curve:
        half = next((one for one in curve if one.coverage >= 0.5), curve[-1])
        alt = f"{percent(half.accuracy)} right on the surest {percent(half.coverage)}, "
        alt += f"{percent(curve[-1].accuracy)} on all."
        if target is not None:
            alt += f" The aim is {target:.0%}."
        if chosen is not None:
            alt += f" In use: {percent(chosen.coverage)} answered, {percent(chosen.accuracy)} right."
    return Chart(id_, title, caption, alt, draw, Size(NARROW, 270))
