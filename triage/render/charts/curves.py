"""Curves over all cases: reliability of probabilities, risk and coverage, and durations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from triage.render.charts.canvas import MARGIN, Canvas
from triage.render.charts.chart import NARROW, Chart, Size
from triage.render.charts.scales import SHORTEST, as_durations, as_percent, duration_ticks
from triage.render.quantities import duration, percent


class Stated(NamedTuple):
    """Cases with a similar stated probability: its mean, the share of them that were right, and its interval."""

    stated: float
    right: float
    n: int
    interval: tuple[float, float] | None = None


class Series(NamedTuple):
    """A named reliability curve, least sure cases first."""

    name: str
    points: tuple[Stated, ...]


class Covered(NamedTuple):
    """With the surest cases answered up to the share `coverage`, the share `accuracy` of them is right."""

    coverage: float
    accuracy: float


def reliability_chart(
    id_: str, title: str, caption: str, points: Sequence[Stated], name: str = "", before: Series | None = None
) -> Chart:
    """The share right by stated probability, with the diagonal dotted. `before` is drawn dashed for comparison."""

    def draw(canvas: Canvas) -> None:
        muted, drawn = canvas.colours.muted, canvas.colours.drawn
        axes = canvas.axes(left=48, right=18, top=46 if before else 26)
        axes.plot([0, 1], [0, 1], color=muted, linewidth=1.5, linestyle=(0, (1, 2)))
        for point in points:
            if point.interval is not None:
                x = [point.stated] * 2
                axes.plot(x, point.interval, color=drawn, alpha=0.4, linewidth=5, solid_capstyle="butt")
        if before is not None:
            stated, right = [point.stated for point in before.points], [point.right for point in before.points]
            axes.plot(stated, right, "s--", color=muted, linewidth=1.5, markersize=5, clip_on=False, label=before.name)
        stated, right = [point.stated for point in points], [point.right for point in points]
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

    alt = "; ".join(f"{percent(p.right)} right where {percent(p.stated)} was stated (n = {p.n})" for p in points)
    return Chart(id_, title, caption, alt and f"{alt}.", draw, Size(NARROW, 290 if before else 270))


def coverage_chart(
    id_: str,
    title: str,
    caption: str,
    curve: Sequence[Covered],
    target: float | None = None,
    chosen: Covered | None = None,
) -> Chart:
    """The curve as steps, with the target accuracy as a dotted line and the threshold in use as a dot."""

    def draw(canvas: Canvas) -> None:
        muted, drawn = canvas.colours.muted, canvas.colours.drawn
        axes = canvas.axes(left=48, right=18)
        coverages, accuracies = [point.coverage for point in curve], [point.accuracy for point in curve]
        axes.plot(coverages, accuracies, drawstyle="steps-post", color=drawn, linewidth=2, clip_on=False)
        if target is not None:
            axes.axhline(target, color=muted, linewidth=1.5, linestyle=(0, (2, 2)))
        if chosen is not None:
            axes.plot([chosen.coverage], [chosen.accuracy], "o", color=drawn, markersize=9, clip_on=False)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        as_percent(axes.xaxis)
        as_percent(axes.yaxis)
        canvas.name_axes(axes, "cases answered, surest first", "right among them")

    alt = ""
    if curve:
        half = next((point for point in curve if point.coverage >= 0.5), curve[-1])
        alt = f"{percent(half.accuracy)} right on the surest {percent(half.coverage)}, "
        alt += f"{percent(curve[-1].accuracy)} on all."
        if target is not None:
            alt += f" The aim is {target:.0%}."
        if chosen is not None:
            alt += f" In use: {percent(chosen.coverage)} answered, {percent(chosen.accuracy)} right."
    return Chart(id_, title, caption, alt, draw, Size(NARROW, 270))


def seconds_chart(
    id_: str, title: str, caption: str, seconds: Sequence[float], marks: Mapping[str, float] | None = None
) -> Chart:
    """The share of cases done within a duration, on a logarithmic axis. `marks` are named durations."""
    ordered = sorted(max(value, SHORTEST) for value in seconds)
    marked = dict(marks or {})

    def draw(canvas: Canvas) -> None:
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

    alt = ""
    if ordered:
        named = "".join(f"; {name} {duration(at / 60)}" for name, at in marked.items())
        alt = f"From {duration(ordered[0] / 60)} to {duration(ordered[-1] / 60)}{named}."
    return Chart(id_, title, caption, alt, draw, Size(NARROW, 250))
