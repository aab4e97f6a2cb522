"""Charts in pages."""

from __future__ import annotations

from functools import lru_cache

from markupsafe import Markup

from triage.render.charts import Chart, as_figure


@lru_cache(maxsize=64)
def drawn(chart: Chart) -> Markup:
    """The chart for a page; one that was shown lately is not drawn again. Call it in a thread."""
    return as_figure(chart)
