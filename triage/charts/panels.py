"""Several charts as one picture."""

from __future__ import annotations

from collections.abc import Sequence

from triage.charts.canvas import MARGIN, Canvas
from triage.charts.chart import NARROW, Chart, Size

_TITLE = 34


def panels_chart(id_: str, title: str, caption: str, charts: Sequence[Chart], columns: int = 2) -> Chart:
    """The charts side by side, each below its title, in rows of `columns`."""
    width = max((one.size.width for one in charts), default=NARROW)
    height = _TITLE + max((one.size.height for one in charts), default=0)
    rows = max(-(-len(charts) // columns), 1)

    def draw(canvas: Canvas) -> None:
        if not charts:
            canvas.say_nothing_to_show()
            return
        parts = canvas.figure.subfigures(rows, columns, squeeze=False).ravel()
        for part, one in zip(parts, charts, strict=False):
            above, below = part.subfigures(2, 1, height_ratios=(height - one.size.height, one.size.height))
            title = canvas.shortened(one.title, 0.88 * (width - 2 * MARGIN))
            above.text(MARGIN / width, 1 - 10 / (height - one.size.height), title, va="top", fontweight="bold")
            axes_part = below.subfigures(1, 2, width_ratios=(one.size.width, max(width - one.size.width, 0.001)))[0]
            one.draw(canvas.part(axes_part, one.size))

    alt = " ".join(f"{one.title}: {one.alt}" for one in charts) or "Nothing to show yet."
    return Chart(id_, title, caption, alt, draw, Size(width * columns, height * rows))
