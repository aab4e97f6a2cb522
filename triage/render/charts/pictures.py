"""Charts as files: SVG, PNG and PDF with title and caption, in light or dark."""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

from triage.domain.errors import InvalidInput
from triage.render.atomic_write import write_atomically
from triage.render.charts.canvas import drawn, printable
from triage.render.charts.chart import THEMES, Chart, Theme
from triage.render.charts.svg import as_svg


def as_png(chart: Chart, theme: Theme = "light", width: int | None = None) -> bytes:
    """The chart as a picture of `width` pixels (by default twice its own) with title and caption above it."""
    # A little more, since matplotlib rounds down to whole pixels.
    dpi = 72 * ((width or 2 * chart.size.width) + 0.01) / chart.size.width
    return _picture(chart, theme, "png", dpi=dpi, Software=None, Description=printable(chart.alt, None))


def as_pdf(chart: Chart, theme: Theme = "light") -> bytes:
    """The chart as a page of its own size."""
    return _picture(chart, theme, "pdf", dpi="figure", Creator=None, CreationDate=None, Producer=None)


def format_of(path: Path) -> Callable[[Chart, Theme], str | bytes]:
    """The function that renders charts for the file's extension. Raises `InvalidInput` for an unknown one."""
    formats: dict[str, Callable[[Chart, Theme], str | bytes]] = {".svg": as_svg, ".png": as_png, ".pdf": as_pdf}
    try:
        return formats[path.suffix.lower()]
    except KeyError:
        raise InvalidInput(
            f"{path} has no extension of a plot format: end it in {', '.join(formats)}.", field="plot"
        ) from None


def write_picture(path: Path, chart: Chart, theme: Theme = "light") -> None:
    """Write the chart in the format of the file's extension. Raises `InvalidInput` for an unknown one."""
    render = format_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, render(chart, theme))


def write_pictures(folder: Path, charts: Iterable[Chart]) -> list[Path]:
    """Write each chart as SVG and PNG, light and dark, as `ID-THEME.EXTENSION`. Returns the paths."""
    paths = []
    for chart, theme, extension in itertools.product(charts, THEMES, ("svg", "png")):
        paths.append(folder / f"{chart.id}-{theme}.{extension}")
        write_picture(paths[-1], chart, theme)
    return paths


def _picture(chart: Chart, theme: Theme, kind: str, dpi: float | Literal["figure"], **metadata: str | None) -> bytes:
    file = io.BytesIO()
    with drawn(chart, chart.size, THEMES[theme], with_heading=True) as (figure, _):
        figure.savefig(file, format=kind, dpi=dpi, metadata={"Title": printable(chart.title)} | metadata)
    return file.getvalue()
