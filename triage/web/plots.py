"""Charts in pages."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from markupsafe import Markup

from triage.charts import Chart, as_figure
from triage.errors import NotFound


@lru_cache(maxsize=64)
def drawn(chart: Chart) -> Markup:
    """The chart for a page; one that was shown lately is not drawn again. Call it in a thread."""
    return as_figure(chart)


def find_chart(charts: Iterable[Chart], name: str) -> Chart:
    """The chart with this id. Raises `NotFound`."""
    for chart in charts:
        if chart.id == name:
            return chart
    raise NotFound(f"There is no plot {name!r} here.", name=name)
