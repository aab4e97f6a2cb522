"""Confusion as a heat map: what people said in rows, what the model said in columns, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.render.charts.canvas import MARGIN, SMALL, Canvas, printable
from triage.render.charts.chart import NARROW, Chart, Size

DARKEST = 0.5
"""How opaque a cell is that holds its whole row: letters on it must be readable in light and dark."""

_CELL = 30
_LARGEST_CELL = 44
_NAME = 140
"""Pixels for the longest name, beside its row or above its column."""
_STRIP = 24


class _Shown(NamedTuple):
    """The counts without the rows and columns that hold none; `rows` and `columns` are their places before."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]


def confusion_chart(
    id_: str,
    title: str,
    caption: str,
    names: Sequence[str],
    counts: Sequence[Sequence[int]],
    rows: str = "human",
    columns: str = "model",
) -> Chart:
    """`counts[i][j]` cases have label i in the row and label j in the column; the fill is the share of the row.

    Rows and columns without a case are left out, and equal labels are framed. `rows` and `columns` say whose they are.
    """
    shown = _shown(counts)
    printed = [printable(name, 80) for name in names]
    room = min(_NAME, 7.5 * max(map(len, printed), default=0) + MARGIN)
    digits = max((len(f"{n:,}") for row in shown.counts for n in row), default=1)
    fitting = (NARROW - room - 2 * MARGIN) / max(len(shown.columns), 1)
    cell = max(_CELL, 8 * digits + 8, min(_LARGEST_CELL, int(fitting)))
    size = Size(
        max(NARROW, int(room) + cell * len(shown.columns) + 2 * MARGIN),
        _STRIP + int(room) + cell * max(len(shown.rows), 1) + MARGIN,
    )

    def draw(canvas: Canvas) -> None:
        if not shown.counts:
            canvas.say_nothing_to_show()
            return
        _draw(canvas, shown, printed, room, cell, f"rows: {rows}, columns: {columns}")

    alt = "; ".join(
        f"{printed[label]} ({rows}): " + ", ".join(f"{n} {printed[j]}" for j, n in _most_first(shown, row))
        for label, row in zip(shown.rows, shown.counts, strict=True)
    )
    return Chart(id_, title, caption, f"{alt or 'Nothing to show yet'}.", draw, size)


def _shown(counts: Sequence[Sequence[int]]) -> _Shown:
    rows = tuple(i for i, row in enumerate(counts) if any(row))
    columns = tuple(j for j in range(len(counts[0]) if counts else 0) if any(row[j] for row in counts))
    # A label that people gave has its column, though the model never did.
    columns = tuple(sorted({*rows, *columns}))
    return _Shown(rows, columns, tuple(tuple(counts[i][j] for j in columns) for i in rows))


def _most_first(shown: _Shown, row: Sequence[int]) -> list[tuple[int, int]]:
    pairs = [(j, n) for j, n in zip(shown.columns, row, strict=True) if n]
    return sorted(pairs, key=lambda pair: -pair[1])


def _draw(canvas: Canvas, shown: _Shown, names: Sequence[str], room: float, cell: float, told: str) -> None:
    from matplotlib.patches import Rectangle

    ink, muted, line, drawn, _ = canvas.colours
    left, top = MARGIN + room, _STRIP + room
    height = cell * len(shown.rows)
    right = canvas.size.width - left - cell * len(shown.columns)
    axes = canvas.axes(left, right, top, canvas.size.height - top - height)
    axes.set(xlim=(0, len(shown.columns)), ylim=(len(shown.rows), 0))
    axes.grid(visible=False)
    axes.set_axis_off()
    axes.vlines(range(len(shown.columns) + 1), 0, len(shown.rows), color=line, linewidth=1, clip_on=False)
    axes.hlines(range(len(shown.rows) + 1), 0, len(shown.columns), color=line, linewidth=1, clip_on=False)
    for y, (label, row) in enumerate(zip(shown.rows, shown.counts, strict=True)):
        for x, (given, n) in enumerate(zip(shown.columns, row, strict=True)):
            if n:
                fill = DARKEST * n / sum(row)
                axes.add_patch(Rectangle((x, y), 1, 1, facecolor=drawn, alpha=fill, linewidth=0, clip_on=False))
                axes.text(x + 0.5, y + 0.5, f"{n:,}", ha="center", va="center_baseline")
            if label == given:
                inset = 1.5 / cell
                frame = ((x + inset, y + inset), 1 - 2 * inset, 1 - 2 * inset)
                axes.add_patch(Rectangle(*frame, fill=False, edgecolor=muted, linewidth=2, clip_on=False))
        name = canvas.shortened(names[label], room - 8)
        axes.text(-8 / cell, y + 0.5, name, ha="right", va="center_baseline", color=ink)
    for x, given in enumerate(shown.columns):
        name = canvas.shortened(names[given], room - 8)
        axes.text(x + 0.5, -8 / cell, name, ha="center", va="bottom", rotation=90, color=ink)
    corner = (MARGIN / canvas.size.width, 1 - 4 / canvas.size.height)
    canvas.figure.text(*corner, told, va="top", ha="left", fontsize=SMALL, color=muted)
