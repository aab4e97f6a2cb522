"""Charts as pictures: SVG inline in a page, with its colours and without styles, and files in SVG, PNG and PDF."""

from __future__ import annotations

import io
import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Literal

from markupsafe import Markup, escape

from triage.domain.errors import InvalidInput
from triage.render.atomic_write import write_atomically
from triage.render.charts.canvas import drawn, printable
from triage.render.charts.chart import CSS_VARIABLES, NARROW, THEMES, Chart, Colours, Size, Theme

_STAND_INS = Colours(ink="#010203", muted="#010204", line="#010205", drawn="#010206", paper="none")
"""Placeholders that are replaced by real colours or CSS variables after drawing."""

_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NUMBER = re.compile(r"-?\d+\.\d+")
_LOCAL = re.compile(r"url\(#([^)]+)\)")
_NUMERIC = {"d", "x", "y", "width", "height", "transform"}
_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def stylesheet() -> Markup:
    """The CSS rules that a page needs for `as_inline_svg` and `as_figure`."""
    return Markup(Path(__file__).with_name("charts.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file


def as_figure(chart: Chart) -> Markup:
    """The chart as a `<figure>` with its caption. It scrolls where it is wider than a phone."""
    svg = as_inline_svg(chart)
    if chart.narrow is None and chart.size.width > NARROW:
        name = f"chart-{chart.id}-title"
        svg = Markup('<div class="plot-scroll" role="region" aria-labelledby="{}" tabindex="0">{}</div>').format(
            name, svg
        )
    return Markup('<figure class="chart">{}<figcaption>{}</figcaption></figure>').format(svg, chart.caption)


def as_inline_svg(chart: Chart) -> Markup:
    """The chart as an `<svg>` element, coloured by the page's CSS variables --ink, --muted, --line and --drawn.

    It has no styles, so a strict Content-Security-Policy allows it. A chart with a form for phones gives two elements,
    of which `stylesheet` shows one.
    """
    if chart.narrow is None:
        return _inline(chart, chart.size, "", "plot" if chart.size.width > NARROW else "plot plot-small")
    wide = _inline(chart, chart.size, "", "plot plot-wide")
    return wide + _inline(chart, chart.narrow, "-narrow", "plot plot-narrow")


def as_svg(chart: Chart, theme: Theme = "light") -> str:
    """The chart as an SVG file, with title and caption above it."""
    size, body = _body(chart, chart.size, f"chart-{chart.id}", with_heading=True)
    body = _coloured(body, THEMES[theme]).replace(" href=", " xlink:href=")
    opening = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'font-family="{_FONTS}" {_root(chart, size, "")}>'
    )
    paper = f'<rect width="100%" height="100%" fill="{THEMES[theme].paper}"/>'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{opening}{_descriptions(chart, "")}{paper}{body}</svg>\n'


def _inline(chart: Chart, size: Size, suffix: str, classes: str) -> Markup:
    _, body = _body(chart, size, f"chart-{chart.id}{suffix}", with_heading=False)
    opening = f'<svg class="{classes}" {_root(chart, size, suffix)}>'
    return Markup(f"{opening}{_descriptions(chart, suffix)}{_coloured(body, CSS_VARIABLES)}</svg>")  # noqa: S704


def _root(chart: Chart, size: Size, suffix: str) -> str:
    names = f"chart-{chart.id}{suffix}-title chart-{chart.id}{suffix}-told"
    return (
        f'role="img" aria-labelledby="{names}" viewBox="0 0 {size.width} {size.height}" width="{size.width}" '
        f'height="{size.height}" stroke-linejoin="round"'
    )


def _descriptions(chart: Chart, suffix: str) -> str:
    name = f"chart-{chart.id}{suffix}"
    title, description = escape(printable(chart.title)), escape(printable(chart.alt, None))
    return f'<title id="{name}-title">{title}</title><desc id="{name}-told">{description}</desc>'


def _body(chart: Chart, size: Size, prefix: str, *, with_heading: bool) -> tuple[Size, str]:
    """The content of the SVG with placeholder colours, and with ids that begin with `prefix`."""
    file = io.BytesIO()
    with drawn(chart, size, _STAND_INS, with_heading=with_heading) as (figure, whole):
        figure.savefig(file, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    root = ET.fromstring(file.getvalue())  # noqa: S314 - written by matplotlib just now
    referenced = set(_references(root))
    return whole, "".join(part for element in root for part in _serialized(element, prefix, referenced))


def _references(root: ET.Element) -> Iterator[str]:
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == _HREF:
                yield value[1:]
            else:
                yield from _LOCAL.findall(value)


def _serialized(element: ET.Element, prefix: str, referenced: set[str]) -> Iterator[str]:
    """The element and its children as text, without useless groups."""
    tag = element.tag.removeprefix(_SVG)
    if tag in {"metadata", "style"}:
        return
    inner = "".join(part for child in element for part in _serialized(child, prefix, referenced))
    if tag == "text":
        inner = str(escape(element.text or "")) + inner
    attributes = _attributes(element.attrib, prefix, referenced)
    if tag in {"g", "defs"} and not inner:
        return
    if tag == "g" and not attributes:
        yield inner
        return
    text = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    yield f"<{tag}{text}>{inner}</{tag}>" if inner else f"<{tag}{text}/>"


def _attributes(own: Mapping[str, str], prefix: str, referenced: set[str]) -> dict[str, str]:
    """Attributes that any page allows: each declaration of a style becomes an attribute."""
    attributes = {}
    for name, value in own.items():
        if name == "style":
            for declaration in value.split(";"):
                property_, _, setting = declaration.partition(":")
                # The page sets the font.
                if property_.strip() not in {"", "font-family"}:
                    attributes[property_.strip()] = setting.strip()
        elif name == "id":
            if value in referenced:
                attributes["id"] = f"{prefix}-{value}"
        elif name == _HREF:
            attributes["href"] = f"#{prefix}-{value[1:]}"
        elif not value.startswith("rotate(-0 "):
            attributes[name] = _NUMBER.sub(_rounded, " ".join(value.split())) if name in _NUMERIC else value
    return {name: _LOCAL.sub(rf"url(#{prefix}-\1)", value) for name, value in attributes.items()}


def _rounded(number: re.Match[str]) -> str:
    text = f"{float(number[0]):.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _coloured(body: str, colours: Colours) -> str:
    for stand_in, colour in zip(_STAND_INS, colours, strict=True):
        if stand_in != "none":
            body = body.replace(f'"{stand_in}"', f'"{colour}"')
    return body


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
