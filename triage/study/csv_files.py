"""A CSV file for each table of the study, with the ids of the incidents behind each row."""

from __future__ import annotations

import csv
import io

from triage.study.tables import Cell, StudyTable


def as_csv(table: StudyTable) -> str:
    """The table; shares from 0 to 1, unrounded. Text that a spreadsheet would run as a formula is quoted."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([*(column.name for column in table.columns), "incident_ids"])
    for row in table.rows:
        writer.writerow([*map(_plain, row.cells), _safe(";".join(row.incident_ids))])
    return file.getvalue()


def _plain(cell: Cell) -> str | float | int:
    return "" if cell is None else _safe(cell) if isinstance(cell, str) else cell


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
