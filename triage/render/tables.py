"""Tables as values, shown by the terminal, pages, CSV files and JSON alike."""

from __future__ import annotations

import csv
import io
import math
from decimal import Decimal
from typing import Any, Literal, NamedTuple, cast

Kind = Literal["text", "count", "share", "minutes", "number"]
Cell = str | float | int | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters of texts that a spreadsheet would run."""
_LEAST = 0.0001
"""Numbers closer to zero are shown as `<0.0001`."""


class Column(NamedTuple):
    """A heading, and the kind of the cells below it: shares are 0 to 1, `minutes` are minutes."""

    name: str
    kind: Kind = "text"


class Row(NamedTuple):
    """Cells in the order of the columns, and the ids of the incidents behind them."""

    cells: tuple[Cell, ...]
    incident_ids: tuple[str, ...] = ()


class Table(NamedTuple):
    """A table. `caption` says what is shown and of how many incidents. Tables of one `section` stand together."""

    id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    section: str = ""


def columns_of(names: str) -> tuple[Column, ...]:
    """The columns of names separated by bars, each with its kind after a colon unless it holds text.

    >>> columns_of("facet | labels:count")
    (Column(name='facet', kind='text'), Column(name='labels', kind='count'))
    """
    parts = (name.partition(":") for name in names.split(" | "))
    return tuple(Column(name, cast("Kind", kind or "text")) for name, _, kind in parts)


def format_cell(cell: Cell, kind: Kind) -> str:
    """A cell for people; empty for None."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    if kind == "share":
        return _share(cell)
    if kind == "minutes":
        return f"{cell:,.0f}" if cell >= 10 else f"{cell:.1f}"
    return f"{cell:,.0f}" if kind == "count" else _number(cell)


def as_csv(table: Table) -> str:
    """The table as CSV with the incidents of each row. Shares are 0 to 1, unrounded; no text is run as a formula."""
    file = io.StringIO()
    # With another line terminator, cells with CR or LF would not be quoted.
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([*(formula_safe(column.name) for column in table.columns), "incident_ids"])
    for row in table.rows:
        cells = ("" if cell is None else formula_safe(cell) if isinstance(cell, str) else cell for cell in row.cells)
        writer.writerow([*cells, formula_safe(";".join(row.incident_ids))])
    return file.getvalue()


def as_json(table: Table) -> dict[str, Any]:
    """The table as a JSON object. Each row has its unrounded cells by the `key` of their column, and its incidents.

    A key is the column's name, numbered if an earlier column has the same name. NaN and infinities are null.
    """
    keys = _keys(table)
    return {
        "id": table.id,
        "section": table.section,
        "title": table.title,
        "caption": table.caption,
        "columns": [
            {"key": key, "name": column.name, "kind": column.kind}
            for key, column in zip(keys, table.columns, strict=True)
        ],
        "rows": [
            {"cells": dict(zip(keys, map(_finite, row.cells), strict=True)), "incident_ids": list(row.incident_ids)}
            for row in table.rows
        ],
    }


def formula_safe(text: str) -> str:
    """`text` for a cell of a CSV file, quoted if a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _share(cell: float) -> str:
    if cell in (0, 1) or 0.1 <= cell <= 0.9:
        return f"{cell:.0%}"
    # Rounding must not turn an uncertain share into a certain one.
    return {"0.0%": "<0.1%", "100.0%": ">99.9%"}.get(text := f"{cell:.1%}", text)


def _number(cell: float) -> str:
    """At least three significant digits, without an exponent."""
    if not abs(cell) < 100:
        return f"{cell:,.0f}"
    if 0 < abs(cell) < _LEAST:
        return f"<{_LEAST}" if cell > 0 else f">-{_LEAST}"
    return f"{Decimal(f'{cell:.3g}'):f}"


def _keys(table: Table) -> list[str]:
    keys: list[str] = []
    for column in table.columns:
        key, n = column.name, 1
        while key in keys:
            n += 1
            key = f"{column.name} ({n})"
        keys.append(key)
    return keys


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
