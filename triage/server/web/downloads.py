"""Tables and charts of pages as files."""

from __future__ import annotations

import asyncio
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


def attachment(content: str | bytes, media_type: str, name: str) -> Response:
    """A file to save, under a name that every file system allows. If a browser shows it, it is sandboxed."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_.") else "-" for c in name)
    headers = {
        "Content-Disposition": f'attachment; filename="{safe}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    return Response(content, headers=headers, media_type=media_type)


def table_file(table: Table, extension: TableFormat, prefix: str = "") -> Response:
    """The table as a file named by its id, after an optional prefix."""
    name = f"{prefix and f'{prefix}-'}{table.id}.{extension}"
    if extension == "csv":
        return attachment(as_csv(table), "text/csv; charset=utf-8", name)
    return attachment(json.dumps(as_json(table), ensure_ascii=False, indent=1), "application/json", name)


async def chart_file(charts: Iterable[Chart], id_: str, theme: Theme, extension: ChartFormat) -> Response:
    """The chart with this id as a file. Raises `NotFound`."""
    for chart in charts:
        if chart.id == id_:
            name = f"{id_}-{theme}.{extension}"
            if extension == "svg":
                return attachment(await asyncio.to_thread(as_svg, chart, theme), "image/svg+xml", name)
            return attachment(await asyncio.to_thread(as_png, chart, theme), "image/png", name)
    raise NotFound(f"There is no plot {id_!r} here.", name=id_)


def find_table(tables: Iterable[Table], id_: str) -> Table:
    """The table with this id. Raises `NotFound`."""
    for table in tables:
        if table.id == id_:
            return table
    raise NotFound(f"There is no table {id_!r} here.", name=id_)
