"""Whether stated probabilities come true, beside the line on which they do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.render.charts.canvas import MARGIN, Canvas
from triage.render.charts.chart import NARROW, Chart, Size
from triage.render.charts.scales import as_percent
from triage.render.quantities import percent


class Stated(NamedTuple):
    """Cases with a similar stated probability: its mean, the share of them that were right, and its interval."""

    stated: float
    right: float
    n: int
    interval: tuple[float, float] | None = None


class Series(NamedTuple):
    """The cases of one way to state probabilities, least sure first, and what it is called."""

    name: str
    points: tuple[Stated, ...]


def reliability_chart(
    id_: str, title: str, caption: str, points: Sequence[Stated], name: str = "", before: Series | None = None
) -> Chart:
    """The share right by the probability stated. `before` is drawn dashed, to compare with."""

    def draw(canvas: Canvas) -> None:
        if not points:
            canvas.say_nothing_to_show()
            return
        muted, drawn = canvas.colours.muted, canvas.colours.drawn
        axes = canvas.axes(left=48, right=18, top=46 if before else 26)
        axes.plot([0, 1], [0, 1], color=muted, linewidth=1.5, linestyle=(0, (1, 2)))
        for one in points:
            if one.interval is not None:
                axes.plot([one.stated] * 2, one.interval, color=drawn, alpha=0.4, linewidth=5, solid_capstyle="butt")
        if before is not None:
            stated, right = [one.stated for one in before.points], [one.right for one in before.points]
            axes.plot(stated, right, "s--", color=muted, linewidth=1.5, markersize=5, clip_on=False, label=before.name)
        stated, right = [one.stated for one in points], [one.right for one in points]
        axes.plot(stated, right, "o-", color=drawn, linewidth=2, markersize=6, clip_on=False, label=name)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        as_percent(axes.xaxis)
        as_percent(axes.yaxis)
        if before is not None:
            axes.legend(
                loc="upper left",
                bbox_to_anchor=(MARGIN / canvas.size.width, 1 - 4 / canvas.size.height),
                bbox_transform=canvas.figure.transSubfigure,
                ncols=2,
                frameon=False,
                borderpad=0,
                borderaxespad=0,
                handlelength=1.6,
                columnspacing=1.2,
            )
        canvas.name_axes(axes, "stated probability", "share right")

    alt = "; ".join(f"{percent(b.right)} right where {percent(b.stated)} was stated (n = {b.n})" for b in points)
    return Chart(id_, title, caption, f"{alt or 'Nothing to show yet'}.", draw, Size(NARROW, 290 if before else 270))
