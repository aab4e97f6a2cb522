"""Charts as files: SVG, PNG and PDF with title and caption, in light or dark."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path

from triage.domain.errors import InvalidInput
from triage.render.charts.canvas import drawn, printable
from triage.render.charts.chart import Chart
from triage.render.charts.svg import as_svg
from triage.render.charts.theme import THEMES, Theme
from triage.render.whole_file import write_whole


def as_png(chart: Chart, theme: Theme = "light", width: int | None = None) -> bytes:
    """The chart as a picture of `width` pixels, or of two for each of its own, with title and caption above it."""
    file = io.BytesIO()
    with drawn(chart, chart.size, THEMES[theme], with_heading=True) as (figure, whole):
        # A hair more, since a part of a pixel is cut off.
        dots = 72 * ((width or 2 * whole.width) + 0.01) / whole.width
        told = {"Software": None, "Title": printable(chart.title), "Description": printable(chart.alt, None)}
        figure.savefig(file, format="png", dpi=dots, metadata=told)
    return file.getvalue()


def as_pdf(chart: Chart, theme: Theme = "light") -> bytes:
    """The chart as a page of its own size."""
    file = io.BytesIO()
    with drawn(chart, chart.size, THEMES[theme], with_heading=True) as (figure, _):
        told = {"Title": printable(chart.title), "Creator": None, "CreationDate": None, "Producer": None}
        figure.savefig(file, format="pdf", metadata=told)
    return file.getvalue()


def format_of(path: Path) -> Callable[[Chart, Theme], str | bytes]:
    """How charts are made for a file of this ending; raises `InvalidInput` for one that is none of ours."""
    formats: dict[str, Callable[[Chart, Theme], str | bytes]] = {".svg": as_svg, ".png": as_png, ".pdf": as_pdf}
    try:
        return formats[path.suffix.lower()]
    except KeyError:
        raise InvalidInput(
            f"{path} tells no format that plots are written in: end it in {', '.join(formats)}.", field="plot"
        ) from None


def write_picture(path: Path, chart: Chart, theme: Theme = "light") -> None:
    """Write the chart whole, in the format of the file's ending; raises `InvalidInput` for one that is none of ours."""
    make = format_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, make(chart, theme))


def write_pictures(folder: Path, charts: Iterable[Chart]) -> list[Path]:
    """Write each chart as SVG and PNG, light and dark, as `ID-THEME.ENDING`; what was written."""
    written = []
    for chart in charts:
        for theme in THEMES:
            for ending in (".svg", ".png"):
                path = folder / f"{chart.id}-{theme}{ending}"
                write_picture(path, chart, theme)
                written.append(path)
    return written
