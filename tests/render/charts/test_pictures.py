"""Charts as files: pictures of the size asked for, in both themes, the same every time."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image

from tests.render.charts.samples import all_charts
from triage.domain.errors import InvalidInput
from triage.render.charts import THEMES, Theme, as_pdf, as_png, write_picture, write_pictures

CHARTS = {chart.id: chart for chart in all_charts()}


def opened(png: bytes) -> Image.Image:
    return Image.open(io.BytesIO(png))


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [333, 640, 1920])
def test_a_picture_has_the_width_asked_for_and_the_themes_colours(theme: Theme, width: int) -> None:
    picture = opened(as_png(CHARTS["few-months"], theme, width))
    assert picture.width == width
    colours = {colour: n for n, colour in picture.convert("RGB").getcolors(1 << 24) or []}
    paper = tuple(bytes.fromhex(THEMES[theme].paper[1:]))
    assert max(colours, key=lambda colour: colours[colour]) == paper


def test_a_picture_tells_what_it_shows() -> None:
    chart = CHARTS["shares"]
    picture = opened(as_png(chart))
    assert picture.width == 2 * chart.size.width
    assert picture.info["Title"] == chart.title
    assert picture.info["Description"].startswith("Infrastructure: 38%, 47 of 122")
    assert "Software" not in picture.info


def test_the_same_chart_has_the_same_bytes() -> None:
    for chart in (CHARTS["months"], CHARTS["over-time"]):
        assert as_png(chart, "dark") == as_png(chart, "dark")
        assert as_pdf(chart) == as_pdf(chart)
        assert as_pdf(chart).startswith(b"%PDF")


def test_a_folder_holds_every_chart_in_both_themes_as_svg_and_png(tmp_path: Path) -> None:
    written = write_pictures(tmp_path / "new", [CHARTS["few-months"], CHARTS["nothing"]])
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in written)
    assert [path.name for path in written[:4]] == [
        "few-months-light.svg",
        "few-months-light.png",
        "few-months-dark.svg",
        "few-months-dark.png",
    ]
    for path in written:
        if path.suffix == ".svg":
            ET.parse(path)
        else:
            opened(path.read_bytes()).verify()


def test_an_ending_that_is_no_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"end it in \.svg, \.png, \.pdf"):
        write_picture(tmp_path / "plot.xyz", CHARTS["nothing"])
    assert not list(tmp_path.iterdir())
