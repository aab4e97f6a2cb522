"""Charts in pages and as files."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Annotated, Literal

from fastapi import Query, Response
from markupsafe import Markup

from triage.charts import Chart, Theme, as_figure, as_png, as_svg
from triage.errors import NotFound

PlotFormat = Literal["svg", "png"]
PlotTheme = Annotated[Theme, Query()]


@lru_cache(maxsize=64)
def drawn(chart: Chart) -> Markup:
    """The chart for a page; one that was shown lately is not drawn again. Call it in a thread."""
    return as_figure(chart)


def plot_file(charts: Iterable[Chart], name: str, ending: PlotFormat, theme: Theme) -> Response:
    """The chart with this id as a file to be kept. Raises `NotFound`. Call it in a thread."""
    chart = next((one for one in charts if one.id == name), None)
    if chart is None:
        raise NotFound(f"There is no plot {name!r} here.", name=name)
    content, kind = (as_svg(chart, theme), "image/svg+xml") if ending == "svg" else (as_png(chart, theme), "image/png")
    disposition = f'attachment; filename="{chart.id}.{ending}"'
    return Response(content, headers={"Content-Disposition": disposition}, media_type=kind)
