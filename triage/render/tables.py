"""Tables as values: what the terminal, pages, CSV files and JSON all show, each row with the incidents behind it."""

from __future__ import annotations

import csv
import io
import math
from decimal import Decimal
from typing import Any, Literal, NamedTuple

Kind = Literal["text", "count", "share", "minutes", "number"]
Cell = str | float | int | None

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a text begins that a spreadsheet would run."""
_LEAST = 0.0001
"""Numbers closer to zero are told as being that."""


class Column(NamedTuple):
    """A heading, and how the cells below are written: shares are 0 to 1, minutes are minutes."""

    name: str
    kind: Kind = "text"


class Row(NamedTuple):
    """Cells in the order of the columns, and the ids of the incidents that the first figure counts."""

    cells: tuple[Cell, ...]
    incident_ids: tuple[str, ...] = ()


class Table(NamedTuple):
    """One table. `caption` says what is seen, and of how many incidents; those of one `section` stand together."""

    id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    section: str = ""


def written(cell: Cell, kind: Kind) -> str:
    """A cell as people read it; an empty text where there is nothing to tell."""
    if cell is None or isinstance(cell, str):
        return cell or ""
    if kind == "share":
        return _share(cell)
    if kind == "minutes":
        return f"{cell:,.0f}" if cell >= 10 else f"{cell:.1f}"
    return f"{cell:,.0f}" if kind == "count" else _number(cell)


def as_csv(table: Table) -> str:
    """The table with the incidents of each row; shares from 0 to 1, unrounded, and no text that is a formula."""
    file = io.StringIO()
    # With lines that end otherwise than by CR and LF, a cell that holds one of these is not quoted.
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow([*(formula_safe(column.name) for column in table.columns), "incident_ids"])
    for row in table.rows:
        cells = ("" if cell is None else formula_safe(cell) if isinstance(cell, str) else cell for cell in row.cells)
        writer.writerow([*cells, formula_safe(";".join(row.incident_ids))])
    return file.getvalue()


def as_json(table: Table) -> dict[str, Any]:
    """The table as a value for JSON: each row's cells, unrounded, by the `key` of their column, and its incidents.

    A key is the column's name, numbered where an earlier column has the same. What is no finite number is null.
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
            {
                "cells": dict(zip(keys, map(_finite, row.cells), strict=True)),
                "incident_ids": list(row.incident_ids),
            }
            for row in table.rows
        ],
    }


def formula_safe(text: str) -> str:
    """`text` for a cell of a CSV file; quoted if a spreadsheet would run it as a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _share(cell: float) -> str:
    if cell in (0, 1) or 0.1 <= cell <= 0.9:
        return f"{cell:.0%}"
    # What is not certain is never written as certain.
    return {"0.0%": "<0.1%", "100.0%": ">99.9%"}.get(text := f"{cell:.1%}", text)


def _number(cell: float) -> str:
    """Three digits that count or all whole ones, and no exponent."""
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
