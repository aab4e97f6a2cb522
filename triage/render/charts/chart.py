"""A chart as a value: its words, its sizes, and how it is drawn; what is made of it stands in `svg` and `pictures`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from triage.render.charts.canvas import Canvas

NARROW = 320
"""Width in CSS pixels at which a chart fits a phone."""
WIDE = 640

_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Size(NamedTuple):
    """Width and height in CSS pixels: at this size letters are as large as those of a page."""

    width: int
    height: int


@dataclass(frozen=True)
class Chart:
    """Something to look at.

    `id` is its own on a page and names its files; `caption` says what is seen and of how many; `alt` tells the figures
    to those who don't see it. `draw` puts it on a canvas of `size`, or of `narrow` where it has a form for phones.
    Raises `ValueError` for an id that isn't letters, digits, `-` and `_`.
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
