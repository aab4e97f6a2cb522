"""Several charts as one picture."""

from __future__ import annotations

from collections.abc import Sequence

from triage.render.charts.canvas import MARGIN, Canvas
from triage.render.charts.chart import NARROW, Chart, Size

_TITLE = 34


def panels_chart(id_: str, title: str, caption: str, charts: Sequence[Chart], columns: int = 2) -> Chart:
    """The charts side by side, each below its title, in rows of `columns`; on a phone one below the other."""
    width = max((one.size.width for one in charts), default=NARROW)
    height = _TITLE + max((one.size.height for one in charts), default=2 * _TITLE)

    def size(across: int) -> Size:
        return Size(width * across, height * max(-(-len(charts) // across), 1))

    def draw(canvas: Canvas) -> None:
        if not charts:
            canvas.say_nothing_to_show()
            return
        across, down = canvas.size.width // width, canvas.size.height // height
        parts = canvas.figure.subfigures(down, across, squeeze=False).ravel()
        for part, one in zip(parts, charts, strict=False):
            above, below = part.subfigures(2, 1, height_ratios=(height - one.size.height, one.size.height))
            name = canvas.shortened(one.title, 0.88 * (width - 2 * MARGIN))
            above.text(MARGIN / width, 1 - 10 / (height - one.size.height), name, va="top", fontweight="bold")
            beside = max(width - one.size.width, 0.001)
            place = below.subfigures(1, 2, width_ratios=(one.size.width, beside))[0]
            one.draw(canvas.part(place, one.size))

    alt = " ".join(f"{one.title}: {one.alt}" for one in charts) or "Nothing to show yet."
    return Chart(id_, title, caption, alt, draw, size(columns), size(1))
