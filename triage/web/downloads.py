"""What a page shows, as files."""

from __future__ import annotations

import json
from typing import Literal

from fastapi import Response

from triage.charts import Chart, Theme, as_png, as_svg
from triage.tables import Table, as_csv, as_json

MARKDOWN = "text/markdown; charset=utf-8"

TableFormat = Literal["csv", "json"]
ChartFormat = Literal["svg", "png"]


def table_file(table: Table, ending: TableFormat) -> Response:
    """The table as a file to be kept, under its own name."""
    if ending == "csv":
        content, kind = as_csv(table), "text/csv; charset=utf-8"
    else:
        content, kind = json.dumps(as_json(table), ensure_ascii=False, indent=1), "application/json"
    disposition = f'attachment; filename="{table.id}.{ending}"'
    return Response(content, headers={"Content-Disposition": disposition}, media_type=kind)


def text_file(content: str, kind: str, name: str) -> Response:
    """A text as a file to be kept; `name` may hold an incident's id."""
    # Ids hold neither quotes nor slashes.
    disposition = f'attachment; filename="{name.replace(":", "-")}"'
    return Response(content, headers={"Content-Disposition": disposition}, media_type=kind)


def chart_file(chart: Chart, theme: Theme, ending: ChartFormat) -> Response:
    """The chart as a file to be kept, for light or dark paper. Drawing takes a moment: call it in a thread."""
    headers = {"Content-Disposition": f'attachment; filename="{chart.id}-{theme}.{ending}"'}
    if ending == "svg":
        return Response(as_svg(chart, theme), headers=headers, media_type="image/svg+xml")
    return Response(as_png(chart, theme), headers=headers, media_type="image/png")
