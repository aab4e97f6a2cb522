"""How many of the cases were done within so many seconds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from triage.render.charts.canvas import Canvas
from triage.render.charts.chart import NARROW, Chart, Size
from triage.render.charts.scales import SHORTEST, as_durations, as_percent, duration_ticks
from triage.render.quantities import duration


def seconds_chart(
    id_: str, title: str, caption: str, seconds: Sequence[float], marks: Mapping[str, float] | None = None
) -> Chart:
    """The share of the cases that took at most so long, on a logarithmic axis; `marks` are durations with names."""
    ordered = sorted(max(one, SHORTEST) for one in seconds)
    marked = dict(marks or {})

    def draw(canvas: Canvas) -> None:
        if not ordered:
            canvas.say_nothing_to_show()
            return
        axes = canvas.axes(left=48, right=22, bottom=26)
        as_durations(axes, duration_ticks(ordered, canvas.size.width - 70))
        shares = [(n + 1) / len(ordered) for n in range(len(ordered))]
        start, end = axes.get_xlim()
        for at in marked.values():
            axes.axvline(max(at, SHORTEST), color=canvas.colours.muted, linewidth=1.5, linestyle=(0, (2, 2)))
        steps = ([start, ordered[0], *ordered, end], [0, 0, *shares, 1])
        axes.plot(*steps, drawstyle="steps-post", color=canvas.colours.drawn, linewidth=2, clip_on=False)
        axes.set_ylim(0, 1)
        as_percent(axes.yaxis)
        canvas.name_axes(axes, up="cases done within")

    alt = "Nothing to show yet."
    if ordered:
        named = "".join(f"; {name} {duration(at / 60)}" for name, at in marked.items())
        alt = f"From {duration(ordered[0] / 60)} to {duration(ordered[-1] / 60)}{named}."
    return Chart(id_, title, caption, alt, draw, Size(NARROW, 250))
