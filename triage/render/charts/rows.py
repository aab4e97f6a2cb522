"""Rows of a dot with its interval. On a phone the name stands above its line, so that it need not be cut short."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from triage.render.charts.canvas import MARGIN, SMALL, Canvas, printable
from triage.render.charts.chart import NARROW, WIDE, Chart, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 20
"""Rows in one chart."""

_NAMED_BOTTOM, _BOTTOM = 42, 26
_NAMES, _TOLD = 228, 132
"""Where there is room, names stand on the left of their lines and what is told on the right, in so many pixels."""


Span = tuple[float | None, float | None]
"""From and to; None where an end is not known."""


class Row(NamedTuple):
    """A name, what is written at the end of its line, and places on the axis across.

    `interval` is drawn as a band, which `interval_told` says in words; `middle` is a thin line. Where an end is not
    known an arrow points on.
    """

    name: str
    told: str
    at: float
    interval: Span | None = None
    interval_told: str = ""
    middle: Span | None = None


def rows_chart(
    id_: str, title: str, caption: str, rows: Sequence[Row], scale: Callable[[Axes, float], None], across: str
) -> Chart:
    """The first `MOST` rows, one below the other; `scale` sets up the axis across, which is so many pixels long.

    `across` is its name.
    """
    shown = rows[:MOST]
    if len(rows) > MOST:
        caption += f" The first {MOST} of {len(rows)} are drawn."
    alt = "; ".join(f"{printable(row.name, 80)}: {row.told}{row.interval_told}" for row in shown)

    def draw(canvas: Canvas) -> None:
        _draw(canvas, shown, scale, across)

    wide, narrow = (
        Size(width, _Layout.of(width).row * max(len(shown), 1) + _bottom(across)) for width in (WIDE, NARROW)
    )
    return Chart(id_, title, caption, f"{alt or 'Nothing to show yet'}.", draw, wide, narrow)


class _Layout(NamedTuple):
    """Pixels of a row and beside the axis, and in parts of a row where the name and the line are, from its top."""

    row: int
    left: int
    right: int
    name_at: float
    line_at: float

    @property
    def is_above(self) -> bool:
        """Whether names stand above their lines."""
        return self.left == MARGIN

    @classmethod
    def of(cls, width: int) -> _Layout:
        if width >= WIDE:
            return cls(row=28, left=_NAMES, right=_TOLD, name_at=0.66, line_at=0.5)
        return cls(row=40, left=MARGIN, right=MARGIN, name_at=0.27, line_at=0.55)


def _draw(canvas: Canvas, rows: Sequence[Row], scale: Callable[[Axes, float], None], across: str) -> None:
    if not rows:
        canvas.say_nothing_to_show()
        return
    layout = _Layout.of(canvas.size.width)
    if not layout.is_above:
        # The axis ends before what is told, unless that takes half of the room.
        longest = max(canvas.width(row.told, SMALL) for row in rows)
        right = min(round(longest) + 2 * MARGIN, canvas.size.width // 2)
        layout = layout._replace(right=max(layout.right, right))
    axes = canvas.axes(layout.left, layout.right, 0, _bottom(across))
    scale(axes, canvas.size.width - layout.left - layout.right)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.set_xlabel(across, labelpad=4)
    canvas.keep_inside(axes)
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)
    _draw_lines(canvas, axes, rows, layout)
    _write_names(canvas, rows, layout)


def _draw_lines(canvas: Canvas, axes: Axes, rows: Sequence[Row], layout: _Layout) -> None:
    _, muted, line, drawn, _ = canvas.colours
    low, high = axes.get_xlim()
    heights = [place + layout.line_at for place in range(len(rows))]
    axes.hlines(heights, low, high, color=line, linewidth=1)
    marks = [(mark, y) for y in heights for mark in axes.get_xticks()]
    axes.plot(*zip(*marks, strict=True), "|", color=line, markersize=9, clip_on=False)
    for spans, width, opacity, colour in (
        ([row.middle for row in rows], 1.5, 1.0, muted),
        ([row.interval for row in rows], 7.0, 0.4, drawn),
    ):
        known = [(y, *span) for y, span in zip(heights, spans, strict=True) if span]
        starts = [low if start is None else max(start, low) for _, start, _ in known]
        ends = [high if end is None else min(end, high) for _, _, end in known]
        axes.hlines([y for y, _, _ in known], starts, ends, color=colour, linewidth=width, alpha=opacity)
        for at, arrow, unknown in (
            (low, "<", [y for y, start, _ in known if start is None]),
            (high, ">", [y for y, _, end in known if end is None]),
        ):
            axes.plot([at] * len(unknown), unknown, arrow, color=colour, markersize=width / 2 + 4, clip_on=False)
    places = [min(max(row.at, low), high) for row in rows]
    axes.plot(places, heights, "o", color=drawn, markersize=8, clip_on=False)


def _write_names(canvas: Canvas, rows: Sequence[Row], layout: _Layout) -> None:
    width, height = canvas.size
    for place, row in enumerate(rows):
        y = 1 - (place + layout.name_at) * layout.row / height
        end = canvas.figure.text(1 - MARGIN / width, y, row.told, ha="right", va="baseline", fontsize=SMALL)
        end.set_color(canvas.colours.muted)
        room = width - canvas.width(row.told, SMALL) - 3 * MARGIN if layout.is_above else layout.left - 2 * MARGIN
        canvas.figure.text(MARGIN / width, y, canvas.shortened(row.name, room), ha="left", va="baseline")


def _bottom(across: str) -> int:
    return _NAMED_BOTTOM if across else _BOTTOM
