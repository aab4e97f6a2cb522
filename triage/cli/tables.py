"""Tables in the terminal."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table as TerminalTable

from triage.render.tables import Table, format_cell

_NARROWEST = 16


def terminal_table(table: Table, left_out: tuple[str, ...] = ()) -> TerminalTable:
    """The rows, without the columns whose names begin with one of `left_out`.

    Print it with `crop=False`: a line that is too long is better than figures that are cut off.
    """
    shown = [(place, column) for place, column in enumerate(table.columns) if not column.name.startswith(left_out)]
    made = TerminalTable(box=None, padding=(0, 2, 0, 0))
    for place, column in shown:
        widest = max((len(format_cell(row.cells[place], column.kind)) for row in table.rows), default=0)
        made.add_column(
            column.name,
            justify="left" if column.kind == "text" else "right",
            overflow="fold",
            min_width=min(widest, _NARROWEST),
        )
    for row in table.rows:
        made.add_row(*(escape(format_cell(row.cells[place], column.kind)) for place, column in shown))
    return made
