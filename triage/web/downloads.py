"""What a page shows, as files."""

from __future__ import annotations

import json
from typing import Literal

from fastapi import Response

from triage.tables import Table, as_csv, as_json

TableFormat = Literal["csv", "json"]


def table_file(table: Table, ending: TableFormat) -> Response:
    """The table as a file to be kept, under its own name."""
    if ending == "csv":
        content, kind = as_csv(table), "text/csv; charset=utf-8"
    else:
        content, kind = json.dumps(as_json(table), ensure_ascii=False, indent=1), "application/json"
    disposition = f'attachment; filename="{table.id}.{ending}"'
    return Response(content, headers={"Content-Disposition": disposition}, media_type=kind)
