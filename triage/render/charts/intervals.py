"""Rows of a dot with its interval: shares and medians. On phones each name stands above its line, uncut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from triage.render.charts.canvas import MARGIN, SMALL, Canvas, printable, shortened, text_width
from triage.render.charts.chart import NARROW, WIDE, Chart, Size
from triage.render.charts.scales import SHORTEST, as_durations, as_percent, duration_ticks, highest_share
from triage.render.quantities import duration, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_ROWS = 20
_NAMES, _NOTES = 228, 132
"""Pixels for names left of their lines and for notes right of them, on wide charts."""

Span = tuple[float | None, float | None]
"""From and to; None for an unknown end."""


class Share(NamedTuple):
    """A part's share with its interval, 0 to 1. `note` gives the counts, such as `47 of 122`."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    note: str = ""


class Median(NamedTuple):
    """The median of a group in seconds, its interval, and the interquartile range `middle`. `note` gives the count."""

    name: str
    seconds: float
    interval: Span | None = None
    middle: Span | None = None
    note: str = ""


class _Row(NamedTuple):
    """A name, the note at the end of its line, and positions on the horizontal axis.

    `interval` is drawn as a band and described by `interval_text`; `middle` is drawn as a thin line. An arrow stands
    for an unknown end.
    """

    name: str
    note: str
    at: float
    interval: Span | None = None
    interval_text: str = ""
    middle: Span | None = None


class _Layout(NamedTuple):
    """Pixels of a row and beside the axis, and where name and line are in a row, as parts of it from its top."""

    row: int
    left: int
    right: int
    name_at: float
    line_at: float

    @property
    def has_names_above(self) -> bool:
        """True if names stand above their lines."""
        return self.left == MARGIN

    @classmethod
    def of(cls, width: int) -> _Layout:
        if width >= WIDE:
            return cls(row=28, left=_NAMES, right=_NOTES, name_at=0.66, line_at=0.5)
        return cls(row=40, left=MARGIN, right=MARGIN, name_at=0.27, line_at=0.55)


def shares_chart(id_: str, title: str, caption: str, shares: Sequence[Share], across: str = "") -> Chart:
    """A dot for each share with its interval as a band, in the order given. `across` names the horizontal axis."""
    highest = highest_share([max(s.value, s.interval[1] if s.interval else 0.0) for s in shares[:_MOST_ROWS]])

    def scale(axes: Axes, _: float) -> None:
        axes.set_xlim(0, highest)
        as_percent(axes.xaxis, highest)

    def interval_text(share: Share) -> str:
        return f" (interval {percent(share.interval[0])} to {percent(share.interval[1])})" if share.interval else ""

    rows = [_Row(s.name, _note(percent(s.value), s.note), s.value, s.interval, interval_text(s)) for s in shares]
    return _rows_chart(id_, title, caption, rows, scale, across)


def medians_chart(id_: str, title: str, caption: str, medians: Sequence[Median], across: str = "") -> Chart:
    """A dot for each median, its interval as a band and the interquartile range as a line, on a logarithmic axis."""
    spans = [span for m in medians[:_MOST_ROWS] for span in (m.interval, m.middle, (m.seconds, None)) if span]

    def scale(axes: Axes, room: float) -> None:
        as_durations(axes, duration_ticks([end for span in spans for end in span if end], room))

    rows = [
        _Row(
            median.name,
            _note(duration(median.seconds / 60), median.note),
            max(median.seconds, SHORTEST),
            _drawable(median.interval),
            _duration_interval(median.interval),
            _drawable(median.middle),
        )
        for median in medians
    ]
    return _rows_chart(id_, title, caption, rows, scale, across)


def _note(value: str, note: str) -> str:
    return f"{value}, {note}" if note else value


def _duration_interval(interval: Span | None) -> str:
    if interval is None:
        return ""
    low, high = ("unknown" if end is None else duration(end / 60) for end in interval)
    return f" (interval {low} to {high})"


def _drawable(span: Span | None) -> Span | None:
    """The span without 0, which a logarithmic axis doesn't have."""
    if span is None:
        return None
    start, end = (None if end is None else max(end, SHORTEST) for end in span)
    return start, end


def _rows_chart(
    id_: str, title: str, caption: str, rows: Sequence[_Row], scale: Callable[[Axes, float], None], across: str
) -> Chart:
    """The first rows, one below the other. `scale` sets up the horizontal axis of the given length in pixels."""
    shown = rows[:_MOST_ROWS]
    if len(rows) > _MOST_ROWS:
        caption += f" The first {_MOST_ROWS} of {len(rows)} are drawn."
    alt = "; ".join(f"{printable(row.name, 80)}: {row.note}{row.interval_text}" for row in shown)
    bottom = 42 if across else 26

    def draw(canvas: Canvas) -> None:
        _draw(canvas, shown, scale, across, bottom)

    wide, narrow = (Size(width, _Layout.of(width).row * max(len(shown), 1) + bottom) for width in (WIDE, NARROW))
    return Chart(id_, title, caption, alt and f"{alt}.", draw, wide, narrow)


def _draw(canvas: Canvas, rows: Sequence[_Row], scale: Callable[[Axes, float], None], across: str, bottom: int) -> None:
    layout = _Layout.of(canvas.size.width)
    if not layout.has_names_above:
        # The axis ends before the notes, unless they take half of the width.
        longest = max(text_width(row.note, SMALL) for row in rows)
        right = min(round(longest) + 2 * MARGIN, canvas.size.width // 2)
        layout = layout._replace(right=max(layout.right, right))
    axes = canvas.axes(layout.left, layout.right, 0, bottom)
    scale(axes, canvas.size.width - layout.left - layout.right)
    axes.set_ylim(len(rows), 0)
    axes.set_yticks([])
    axes.set_xlabel(across, labelpad=4)
    labels = axes.get_xticklabels()
    # The first label begins where the axis does, and the last one ends with it.
    labels[0].set_horizontalalignment("left")
    labels[-1].set_horizontalalignment("right")
    axes.spines["bottom"].set_visible(False)
    axes.grid(visible=False)
    _draw_lines(canvas, axes, rows, layout)
    _write_names(canvas, rows, layout)


def _draw_lines(canvas: Canvas, axes: Axes, rows: Sequence[_Row], layout: _Layout) -> None:
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


def _write_names(canvas: Canvas, rows: Sequence[_Row], layout: _Layout) -> None:
    width, height = canvas.size
    for place, row in enumerate(rows):
        y = 1 - (place + layout.name_at) * layout.row / height
        note = canvas.figure.text(1 - MARGIN / width, y, row.note, ha="right", va="baseline", fontsize=SMALL)
        note.set_color(canvas.colours.muted)
        room = width - text_width(row.note, SMALL) - 3 * MARGIN if layout.has_names_above else layout.left - 2 * MARGIN
        canvas.figure.text(MARGIN / width, y, shortened(row.name, room), ha="left", va="baseline")
