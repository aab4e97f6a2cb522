"""What a page shows, as files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Literal

from fastapi import Response

from triage.domain.errors import NotFound
from triage.render.charts import Chart, Theme, as_png, as_svg
from triage.render.tables import Table, as_csv, as_json

MARKDOWN = "text/markdown; charset=utf-8"

TableFormat = Literal["csv", "json"]
ChartFormat = Literal["svg", "png"]


def kept_file(content: str | bytes, kind: str, name: str) -> Response:
    """A file to be kept, under this name as far as every disk takes it. Should a browser show it, it may do nothing."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    headers = {
        "Content-Disposition": f'attachment; filename="{safe}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(content, headers=headers, media_type=kind)


def table_file(table: Table, ending: TableFormat, of: str = "") -> Response:
    """The table as a file to be kept, under its own name; after the name of what it is `of`, where there are many."""
    name = f"{of}-{table.id}.{ending}" if of else f"{table.id}.{ending}"
    if ending == "csv":
        return kept_file(as_csv(table), "text/csv; charset=utf-8", name)
    return kept_file(json.dumps(as_json(table), ensure_ascii=False, indent=1), "application/json", name)


def chart_file(chart: Chart, theme: Theme, ending: ChartFormat) -> Response:
    """The chart as a file to be kept, for light or dark paper. Drawing takes a moment: call it in a thread."""
    name = f"{chart.id}-{theme}.{ending}"
    if ending == "svg":
        return kept_file(as_svg(chart, theme), "image/svg+xml", name)
    return kept_file(as_png(chart, theme), "image/png", name)


def find_table(tables: Iterable[Table], name: str) -> Table:
    """The table with this id. Raises `NotFound`."""
    for one in tables:
        if one.id == name:
            return one
    raise NotFound(f"There is no table {name!r} here.", name=name)


def find_chart(charts: Iterable[Chart], name: str) -> Chart:
    """The chart with this id. Raises `NotFound`."""
    for one in charts:
        if one.id == name:
            return one
    raise NotFound(f"There is no plot {name!r} here.", name=name)
