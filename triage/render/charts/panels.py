"""Several charts as one chart."""

from __future__ import annotations

from collections.abc import Sequence

from triage.render.charts.canvas import MARGIN, Canvas, shortened
from triage.render.charts.chart import NARROW, Chart, Size

_TITLE = 34


def panels_chart(id_: str, title: str, caption: str, charts: Sequence[Chart], columns: int = 2) -> Chart:
    """The charts in rows of `columns`, each below its title. On phones they stand in one column."""
    width = max((chart.size.width for chart in charts), default=NARROW)
    height = _TITLE + max((chart.size.height for chart in charts), default=2 * _TITLE)

    def size(columns: int) -> Size:
        return Size(width * columns, height * max(-(-len(charts) // columns), 1))

    def draw(canvas: Canvas) -> None:
        grid = (canvas.size.height // height, canvas.size.width // width)
        for part, chart in zip(canvas.figure.subfigures(*grid, squeeze=False).ravel(), charts, strict=False):
            above, below = part.subfigures(2, 1, height_ratios=(height - chart.size.height, chart.size.height))
            name = shortened(chart.title, 0.88 * (width - 2 * MARGIN))
            above.text(MARGIN / width, 1 - 10 / (height - chart.size.height), name, va="top", fontweight="bold")
            blank = max(width - chart.size.width, 0.001)
            place = below.subfigures(1, 2, width_ratios=(chart.size.width, blank))[0]
            chart.draw(Canvas(place, chart.size, canvas.colours))

    alt = " ".join(f"{chart.title}: {chart.alt}" for chart in charts)
    return Chart(id_, title, caption, alt, draw, size(columns), size(1))
