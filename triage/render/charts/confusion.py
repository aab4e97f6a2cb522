"""Confusion matrices as heat maps: people's labels in rows, the model's in columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from triage.render.charts.canvas import MARGIN, SMALL, Canvas, printable, shortened
from triage.render.charts.chart import NARROW, Chart, Size

DARKEST = 0.5
"""Opacity of a cell that holds its whole row. Its number must be readable in both themes."""

_CELL = 30
_LARGEST_CELL = 44
_NAME = 140
"""Pixels for the longest name, beside its row or above its column."""
_STRIP = 24


class _Matrix(NamedTuple):
    """The counts without empty rows and columns; `rows` and `columns` are their original positions."""

    rows: tuple[int, ...]
    columns: tuple[int, ...]
    counts: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, counts: Sequence[Sequence[int]]) -> _Matrix:
        rows = tuple(i for i, row in enumerate(counts) if any(row))
        # A label that people gave has its column, even if the model never gave it.
        columns = tuple(j for j, column in enumerate(zip(*counts, strict=True)) if j in rows or any(column))
        return cls(rows, columns, tuple(tuple(counts[i][j] for j in columns) for i in rows))


def confusion_chart(
    id_: str,
    title: str,
    caption: str,
    names: Sequence[str],
    counts: Sequence[Sequence[int]],
    rows: str = "human",
    columns: str = "model",
) -> Chart:
    """`counts[i][j]` cases have label i in the row and label j in the column. The fill is the share of the row.

    Empty rows and columns are left out, and equal labels are framed. `rows` and `columns` say whose labels they hold.
    """
    matrix = _Matrix.of(counts)
    printed = [printable(name, 80) for name in names]
    room = min(_NAME, 7.5 * max(map(len, printed), default=0) + MARGIN)
    digits = max((len(f"{n:,}") for row in matrix.counts for n in row), default=1)
    fitting = (NARROW - room - 2 * MARGIN) / max(len(matrix.columns), 1)
    cell = max(_CELL, 8 * digits + 8, min(_LARGEST_CELL, int(fitting)))
    size = Size(
        max(NARROW, int(room) + cell * len(matrix.columns) + 2 * MARGIN),
        _STRIP + int(room) + cell * max(len(matrix.rows), 1) + MARGIN,
    )

    def draw(canvas: Canvas) -> None:
        _draw(canvas, matrix, printed, room, cell, f"rows: {rows}, columns: {columns}")

    alt = "; ".join(
        f"{printed[label]} ({rows}): " + ", ".join(f"{n} {printed[j]}" for j, n in _by_count(matrix, row))
        for label, row in zip(matrix.rows, matrix.counts, strict=True)
    )
    return Chart(id_, title, caption, alt and f"{alt}.", draw, size)


def _by_count(matrix: _Matrix, row: Sequence[int]) -> list[tuple[int, int]]:
    pairs = [(j, n) for j, n in zip(matrix.columns, row, strict=True) if n]
    return sorted(pairs, key=lambda pair: -pair[1])


def _draw(canvas: Canvas, matrix: _Matrix, names: Sequence[str], room: float, cell: float, legend: str) -> None:
    from matplotlib.patches import Rectangle

    ink, muted, line, drawn, _ = canvas.colours
    left, top = MARGIN + room, _STRIP + room
    height = cell * len(matrix.rows)
    right = canvas.size.width - left - cell * len(matrix.columns)
    axes = canvas.axes(left, right, top, canvas.size.height - top - height)
    axes.set(xlim=(0, len(matrix.columns)), ylim=(len(matrix.rows), 0))
    axes.grid(visible=False)
    axes.set_axis_off()
    axes.vlines(range(len(matrix.columns) + 1), 0, len(matrix.rows), color=line, linewidth=1, clip_on=False)
    axes.hlines(range(len(matrix.rows) + 1), 0, len(matrix.columns), color=line, linewidth=1, clip_on=False)
    for y, (label, row) in enumerate(zip(matrix.rows, matrix.counts, strict=True)):
        for x, (other, n) in enumerate(zip(matrix.columns, row, strict=True)):
            if n:
                fill = DARKEST * n / sum(row)
                axes.add_patch(Rectangle((x, y), 1, 1, facecolor=drawn, alpha=fill, linewidth=0, clip_on=False))
                axes.text(x + 0.5, y + 0.5, f"{n:,}", ha="center", va="center_baseline")
            if label == other:
                inset = 1.5 / cell
                frame = ((x + inset, y + inset), 1 - 2 * inset, 1 - 2 * inset)
                axes.add_patch(Rectangle(*frame, fill=False, edgecolor=muted, linewidth=2, clip_on=False))
        name = shortened(names[label], room - 8)
        axes.text(-8 / cell, y + 0.5, name, ha="right", va="center_baseline", color=ink)
    for x, label in enumerate(matrix.columns):
        name = shortened(names[label], room - 8)
        axes.text(x + 0.5, -8 / cell, name, ha="center", va="bottom", rotation=90, color=ink)
    corner = (MARGIN / canvas.size.width, 1 - 4 / canvas.size.height)
    canvas.figure.text(*corner, legend, va="top", ha="left", fontsize=SMALL, color=muted)
