"""The canvas that charts draw on: matplotlib without global state, one figure at a time, measured in CSS pixels."""

from __future__ import annotations

import bisect
import logging
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from triage.render.charts.chart import Chart, Colours, Size

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

TEXT = 12.0
"""Font size in CSS pixels; minor texts have `SMALL`."""
SMALL = 11.0
_HEADING = 14.0
MARGIN = 10
"""Pixels between the edge of a picture and its texts."""
_LONGEST = 200
"""Characters of a name that are considered."""

# matplotlib's settings and fonts belong to the whole process.
_LOCK = threading.Lock()


class Canvas(NamedTuple):
    """A figure, or a part of one, of `size` in CSS pixels, and the colours to draw with."""

    figure: Figure | SubFigure
    size: Size
    colours: Colours

    def axes(self, left: float = 40, right: float = 10, top: float = 26, bottom: float = 38) -> Axes:
        """Axes with grid lines, and with so many pixels around them."""
        width, height = self.size
        inner = ((width - left - right) / width, (height - top - bottom) / height)
        axes = self.figure.add_axes((left / width, bottom / height, *inner))
        axes.set_axisbelow(True)
        axes.grid(visible=True, color=self.colours.line, linewidth=0.8)
        axes.tick_params(length=0, pad=6)
        axes.spines[["left", "top", "right"]].set_visible(False)
        return axes

    def name_axes(self, axes: Axes, across: str = "", up: str = "") -> None:
        """Name the horizontal axis below it, and the vertical one above it, written horizontally."""
        axes.set_xlabel(across, labelpad=5)
        if up:
            left = axes.get_position().x0 * self.size.width
            axes.annotate(
                up,
                (0, 1),
                (MARGIN - left, 9),
                xycoords="axes fraction",
                textcoords="offset points",
                va="bottom",
                ha="left",
            )


@contextmanager
def drawn(chart: Chart, size: Size, colours: Colours, *, with_heading: bool) -> Iterator[tuple[Figure, Size]]:
    """Yield the drawn chart and its whole size. Leave the block quickly: other drawings wait for it."""
    # matplotlib logs that it builds and stores its font list.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with _LOCK, warnings.catch_warnings(), mpl.rc_context():
        # An SVG is shown in the reader's fonts, so a glyph that our font lacks is no problem.
        warnings.filterwarnings("ignore", message="Glyph .* missing")
        mpl.rcdefaults()
        mpl.rcParams.update(_settings(chart, colours))
        heading = _Heading.of(chart, size.width) if with_heading else _Heading((), (), 0)
        whole = Size(size.width, size.height + heading.height)
        figure = Figure(figsize=(whole.width / 72, whole.height / 72))
        part: Figure | SubFigure = figure
        if heading.height:
            above, part = figure.subfigures(2, 1, squeeze=False, height_ratios=(heading.height, size.height)).ravel()
            heading.write(Canvas(above, Size(size.width, heading.height), colours))
        chart.draw(Canvas(part, size, colours))
        yield figure, whole


def printable(text: str, longest: int | None = _LONGEST) -> str:
    """`text` on one line of at most `longest` characters, without invisible and direction-changing characters."""
    start = text if longest is None else text[: 4 * longest]
    visible = (c if unicodedata.category(c)[0] != "C" else " " if c.isspace() else "" for c in start)
    return " ".join("".join(visible).split())[:longest]


def shortened(name: str, room: float, size: float = TEXT) -> str:
    """`name` on one line, printable, and cut to at most `room` pixels."""
    return _fitted(printable(name), room, size)


def text_width(text: str, size: float = TEXT) -> float:
    """Width in pixels in matplotlib's own font, which is wider than most. Wide letters that it lacks are added."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    wide = sum(unicodedata.east_asian_width(c) in {"W", "F"} for c in text)
    return float(width) + 0.45 * size * wide


class _Heading(NamedTuple):
    """The lines of title and caption, for a chart in a file of its own."""

    title: tuple[str, ...]
    caption: tuple[str, ...]
    height: int

    @classmethod
    def of(cls, chart: Chart, width: int) -> _Heading:
        room = width - 2 * MARGIN
        # The title is bold, which is wider.
        title = tuple(_wrapped(chart.title, room / 1.12, _HEADING))
        caption = tuple(_wrapped(chart.caption, room, SMALL))
        return cls(title, caption, MARGIN + 18 * len(title) + 15 * len(caption) + MARGIN)

    def write(self, canvas: Canvas) -> None:
        y = self.height - MARGIN
        ink, muted = canvas.colours.ink, canvas.colours.muted
        for lines, size, leading, weight, colour in (
            (self.title, _HEADING, 18, "bold", ink),
            (self.caption, SMALL, 15, "normal", muted),
        ):
            for line in lines:
                place = (MARGIN / canvas.size.width, y / self.height)
                canvas.figure.text(*place, line, va="top", ha="left", fontsize=size, fontweight=weight, color=colour)
                y -= leading


def _fitted(line: str, room: float, size: float) -> str:
    # Measuring is slow; hardly a letter is wider than it is high.
    if len(line) * size <= room or text_width(line, size) <= room:
        return line
    cut = bisect.bisect_right(range(1, len(line)), room, key=lambda end: text_width(f"{line[:end]}…", size))
    return f"{line[:cut].rstrip()}…"


def _wrapped(text: str, room: float, size: float) -> Iterator[str]:
    line = ""
    for word in printable(text, None).split(" "):
        longer = f"{line} {word}" if line else word
        if line and text_width(longer, size) > room:
            yield line
            longer = word
        line = _fitted(longer, room, size)
    if line:
        yield line


def _settings(chart: Chart, colours: Colours) -> dict[Any, Any]:
    return {
        # Makes ids, and so the bytes, the same for the same chart.
        "svg.hashsalt": chart.id,
        "svg.fonttype": "none",
        # A dollar sign in a name doesn't start a formula.
        "text.parse_math": False,
        "font.family": "DejaVu Sans",
        "font.size": TEXT,
        "axes.labelsize": TEXT,
        "xtick.labelsize": SMALL,
        "ytick.labelsize": SMALL,
        "legend.fontsize": SMALL,
        "text.color": colours.ink,
        "axes.labelcolor": colours.ink,
        "axes.edgecolor": colours.muted,
        "xtick.color": colours.muted,
        "ytick.color": colours.muted,
        "xtick.labelcolor": colours.ink,
        "ytick.labelcolor": colours.ink,
        "axes.facecolor": "none",
        "figure.facecolor": "none",
        "savefig.facecolor": colours.paper,
        "savefig.edgecolor": "none",
    }
