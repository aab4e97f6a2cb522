"""Charts as values: texts, sizes, colours and how each is drawn. `svg` and `pictures` render them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from triage.render.charts.canvas import Canvas

NARROW = 320
"""Width in CSS pixels of a chart that fits a phone."""
WIDE = 640

Theme = Literal["light", "dark"]

_NO_DATA = "Nothing to show yet."
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Size(NamedTuple):
    """Width and height in CSS pixels. At this size, letters are as large as the page's own."""

    width: int
    height: int


class Colours(NamedTuple):
    """`ink` is for text, `muted` for minor text, `line` for guides, `drawn` for data, and `paper` is the background."""

    ink: str
    muted: str
    line: str
    drawn: str
    paper: str


THEMES: dict[Theme, Colours] = {
    "light": Colours(ink="#1b1f23", muted="#57606a", line="#cfd6dd", drawn="#0b5cad", paper="#ffffff"),
    "dark": Colours(ink="#e6e8ea", muted="#a9b1b9", line="#3c454e", drawn="#82bcff", paper="#14181c"),
}
"""The same colours as on the pages of reports."""

CSS_VARIABLES = Colours(ink="var(--ink)", muted="var(--muted)", line="var(--line)", drawn="var(--drawn)", paper="none")
"""The colours of the page that shows the chart."""


@dataclass(frozen=True)
class Chart:
    """A chart, or a placeholder of its size if `alt` is empty because there is no data.

    `id` is unique on a page and names the chart's files. `caption` says what is shown and of how many; `alt` gives the
    figures to screen readers. `draw` draws it on a canvas of `size`, or of `narrow` where it has a form for phones.
    Raises `ValueError` if the id has other characters than letters, digits, `-` and `_`.
    """

    id: str
    title: str
    caption: str
    alt: str
    draw: Callable[[Canvas], None]
    size: Size
    narrow: Size | None = None

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise ValueError(f"{self.id!r} can't be the id of a chart: use letters, digits, - and _")
        if not self.alt:
            object.__setattr__(self, "alt", _NO_DATA)
            object.__setattr__(self, "draw", _draw_placeholder)


def _draw_placeholder(canvas: Canvas) -> None:
    canvas.figure.text(0.5, 0.5, _NO_DATA, ha="center", va="center", color=canvas.colours.muted)
