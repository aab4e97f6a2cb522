"""Where charts are drawn: matplotlib without its global state, one figure at a time, measured in CSS pixels."""

from __future__ import annotations

import bisect
import logging
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from triage.render.charts.chart import Chart, Size
from triage.render.charts.theme import Colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

TEXT = 12.0
"""Height of letters in CSS pixels; what is minor has `SMALL`."""
SMALL = 11.0
_HEADING = 14.0
MARGIN = 10
"""Pixels between the edge of a picture and what is written in it."""
_LONGEST = 200
"""Characters of a name that are looked at."""

# matplotlib's settings and fonts belong to the whole process.
_ONE_AT_A_TIME = threading.Lock()


class Canvas(NamedTuple):
    """A figure, or a part of one, of `size` in CSS pixels, and the colours to draw with."""

    figure: Figure | SubFigure
    size: Size
    colours: Colours

    def axes(self, left: float = 40, right: float = 10, top: float = 26, bottom: float = 38) -> Axes:
        """Axes with so many pixels around them, and lines along their ticks."""
        width, height = self.size
        inner = ((width - left - right) / width, (height - top - bottom) / height)
        axes = self.figure.add_axes((left / width, bottom / height, *inner))
        axes.set_axisbelow(True)
        axes.grid(visible=True, color=self.colours.line, linewidth=0.8)
        axes.tick_params(length=0, pad=6)
        axes.spines[["left", "top", "right"]].set_visible(False)
        return axes

    def name_axes(self, axes: Axes, across: str = "", up: str = "") -> None:
        """Say what is seen along the bottom, and what upwards: level and above, where it is read without turning."""
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

    def keep_inside(self, axes: Axes) -> None:
        """Let the first mark along the bottom begin where the axis does, and the last end with it."""
        labels = axes.get_xticklabels()
        labels[0].set_horizontalalignment("left")
        labels[-1].set_horizontalalignment("right")

    def shortened(self, name: str, room: float, size: float = TEXT) -> str:
        """`name` on one line, without characters that aren't seen, cut so that it is at most `room` pixels wide."""
        return _fitted(printable(name), room, size)

    def width(self, text: str, size: float = TEXT) -> float:
        """How wide a text is, in pixels."""
        return _width(text, size)

    def part(self, figure: Figure | SubFigure, size: Size) -> Canvas:
        """A canvas on a part of this one's figure."""
        return Canvas(figure, size, self.colours)

    def say_nothing_to_show(self) -> None:
        """What stands in the place of a chart without figures."""
        self.figure.text(0.5, 0.5, "Nothing to show yet.", ha="center", va="center", color=self.colours.muted)


@contextmanager
def drawn(chart: Chart, size: Size, colours: Colours, *, with_heading: bool) -> Iterator[tuple[Figure, Size]]:
    """The chart drawn, with the size of all of it; nothing else is drawn meanwhile, so make haste with it."""
    # That matplotlib makes a list of the fonts, and where it keeps it, is no matter for whoever looks at a chart.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with _ONE_AT_A_TIME, warnings.catch_warnings(), mpl.rc_context():
        # A letter that the font doesn't have is no matter for a log: an SVG is shown in the reader's fonts.
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
    """`text` on one line and at most so long, without characters that aren't seen or that turn others around."""
    looked_at = text if longest is None else text[: 4 * longest]
    kept = (c if unicodedata.category(c)[0] != "C" else " " if c.isspace() else "" for c in looked_at)
    return " ".join("".join(kept).split())[:longest]


class _Heading(NamedTuple):
    """The title and the caption as lines, for a chart that stands alone."""

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
    # Hardly a letter is wider than it is high.
    if len(line) * size <= room or _width(line, size) <= room:
        return line
    cuts = range(1, len(line))
    cut = bisect.bisect_right(cuts, room, key=lambda end: _width(f"{line[:end]}…", size))
    return f"{line[:cut].rstrip()}…"


def _wrapped(text: str, room: float, size: float) -> Iterator[str]:
    line = ""
    for word in printable(text, None).split(" "):
        longer = f"{line} {word}" if line else word
        if line and _width(longer, size) > room:
            yield line
            longer = word
        longer = _fitted(longer, room, size)
        line = longer
    if line:
        yield line


def _width(text: str, size: float) -> float:
    """In pixels, in the font that matplotlib brings, which is wider than most; wide letters that it lacks are added."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    found, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(size=size), ismath=False)
    wide = sum(unicodedata.east_asian_width(c) in {"W", "F"} for c in text)
    return float(found) + 0.45 * size * wide


def _settings(chart: Chart, colours: Colours) -> dict[Any, Any]:
    return {
        # The same chart has the same ids and so the same bytes.
        "svg.hashsalt": chart.id,
        "svg.fonttype": "none",
        # A dollar in a name begins no formula.
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
