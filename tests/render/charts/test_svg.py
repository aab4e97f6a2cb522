"""Charts as SVG: harmless and without styles in a page, complete as a file, the same every time, from any thread."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import xml.etree.ElementTree as ET
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.render.charts.samples import HOSTILE, all_charts
from triage.render.charts import THEMES, Chart, Share, Theme, as_figure, as_inline_svg, as_svg, shares_chart

CHARTS = {chart.id: chart for chart in all_charts()}
SVG = "{http://www.w3.org/2000/svg}"
ELEMENTS = {"svg", "title", "desc", "g", "defs", "path", "use", "text", "clipPath", "rect"}
ATTRIBUTES = {
    *("class", "role", "aria-labelledby", "viewBox", "width", "height", "id", "x", "y", "d", "transform", "href"),
    *("fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "stroke-dashoffset"),
    *("stroke-linejoin", "stroke-linecap", "opacity", "font-size", "font-weight", "text-anchor", "clip-path"),
}
VARIABLES = {"none", "var(--ink)", "var(--muted)", "var(--line)", "var(--drawn)"}


@cache
def html_of(name: str) -> str:
    """The chart as it stands in a page, drawn once for all tests."""
    return str(as_figure(CHARTS[name]))


def parsed(html: str) -> list[ET.Element]:
    """The pictures in a piece of a page."""
    return list(ET.fromstring(f"<page>{html}</page>").iter("svg"))


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_nothing_in_a_page_is_styled_and_all_colours_are_the_pages(chart: Chart) -> None:
    html = html_of(chart.id)
    assert not re.search(r"\sstyle=[\"']|<style|<script|\son\w+=[\"']", html)
    for svg in parsed(html_of(chart.id)):
        for one in svg.iter():
            assert one.tag in ELEMENTS
            assert one.attrib.keys() <= ATTRIBUTES
            colours = {one.attrib[name] for name in ("fill", "stroke") if name in one.attrib}
            assert colours <= VARIABLES
            # What has no colour is black, which can't be seen in the dark.
            assert one.tag != "text" or "fill" in one.attrib


@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_it_can_be_read_aloud_and_its_ids_are_its_own(chart: Chart) -> None:
    ids: Counter[str] = Counter()
    for svg in parsed(html_of(chart.id)):
        own = {one.attrib["id"]: one for one in svg.iter() if "id" in one.attrib}
        ids.update(own.keys())
        title, told = (own[name] for name in svg.attrib["aria-labelledby"].split())
        assert svg.attrib["role"] == "img"
        assert (title.tag, title.text) == ("title", chart.title)
        assert told.tag == "desc"
        assert told.text
        assert all(name.startswith(f"chart-{chart.id}-") for name in own)
        for one in svg.iter():
            wanted = re.findall(r"url\(#([^)]+)\)", " ".join(one.attrib.values()))
            wanted += [one.attrib["href"][1:]] if "href" in one.attrib else []
            assert set(wanted) <= own.keys()
    assert max(ids.values()) == 1


def test_all_charts_of_a_page_have_ids_of_their_own() -> None:
    ids = Counter(re.findall(r' id="([^"]+)"', "".join(map(html_of, CHARTS))))
    assert max(ids.values()) == 1


def test_names_are_shown_and_not_obeyed() -> None:
    class Tags(HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: set[str] = set()

        def handle_starttag(self, tag: str, attrs: object) -> None:
            self.found.add(tag)

    html = html_of("shares")
    tags = Tags()
    tags.feed(html)
    assert tags.found <= {"figure", "figcaption"} | {one.lower() for one in ELEMENTS}
    texts = [one.text or "" for svg in parsed(html) for one in svg.iter("text")]
    assert HOSTILE[0] in texts
    assert any(text.startswith('A" style="fill: red"') for text in texts)
    assert HOSTILE[2] in texts, "a dollar begins no formula"
    assert "\u202e" not in html
    assert "\x00" not in html
    # On a phone and on a desk: what is too long is cut, and told whole to who can't see it.
    assert sum(text.startswith("a very long name") and text.endswith("…") for text in texts) == 2
    assert "no one would ever give" in html


def test_a_colour_in_a_name_stays_a_name() -> None:
    chart = shares_chart("a", "#010203", "", [Share('"#010203"', 0.5)])
    texts = [one.text for svg in parsed(as_inline_svg(chart)) for one in svg.iter() if one.text]
    assert "#010203" in texts
    assert '"#010203"' in texts


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_a_file_has_its_title_and_colours_of_its_own(chart: Chart, theme: Theme) -> None:
    root = ET.fromstring(as_svg(chart, theme))
    texts = [one.text or "" for one in root.iter(f"{SVG}text")]
    assert chart.title in " ".join(texts)
    assert chart.caption[:20] in " ".join(texts)
    used = {one.attrib[name] for one in root.iter() for name in ("fill", "stroke") if name in one.attrib}
    assert used <= {"none", *THEMES[theme]}
    assert root.find(f"{SVG}rect").attrib["fill"] == THEMES[theme].paper  # type: ignore[union-attr]


@pytest.mark.filterwarnings("ignore:Glyph")
@pytest.mark.parametrize("chart", CHARTS.values(), ids=CHARTS)
def test_no_text_reaches_beyond_the_picture(chart: Chart) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    for svg in parsed(html_of(chart.id)):
        width, height = float(svg.attrib["width"]), float(svg.attrib["height"])
        for one in svg.iter("text"):
            size = float(one.attrib["font-size"].removesuffix("px"))
            assert size >= 11
            long, _, _ = text_to_path.get_text_width_height_descent(one.text, FontProperties(size=size), ismath=False)
            turned = re.fullmatch(r"translate\(([\d.-]+) ([\d.-]+)\) rotate\(-90\)", one.attrib.get("transform", ""))
            if turned:
                x, y = map(float, turned.groups())
                assert size * 0.7 < x < width
                assert long < y <= height
                continue
            x, y = float(one.attrib["x"]), float(one.attrib["y"])
            before = {"middle": 0.5, "end": 1.0}.get(one.attrib.get("text-anchor", ""), 0.0) * long
            assert x - before >= -1, one.text
            assert x - before + long <= width + 1, one.text
            assert size * 0.7 <= y <= height, one.text


def test_a_title_of_one_long_word_stays_in_its_file() -> None:
    chart = shares_chart("a", "x" * 300, "y" * 300 + " and more", [Share("b", 0.5)])
    texts = [one.text or "" for one in ET.fromstring(as_svg(chart)).iter(f"{SVG}text")]
    assert any(text.startswith("xxx") and text.endswith("…") for text in texts)
    assert "and more" in texts
    assert max(map(len, texts)) < 110


def test_the_same_chart_has_the_same_bytes_whatever_was_drawn_before() -> None:
    from matplotlib import rcParams

    first = {name: html_of(name) for name in CHARTS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(rcParams, "font.size", 30)
        patch.setitem(rcParams, "axes.linewidth", 9)
        again = {chart.id: as_figure(chart) for chart in reversed(all_charts())}
        assert rcParams["font.size"] == 30
    assert again == first


def test_charts_are_drawn_from_many_threads() -> None:
    names = ["one-share", "few-months", "coverage", "lone-moment"]
    alone = {name: as_inline_svg(CHARTS[name]) for name in names}
    start = threading.Barrier(4)

    def draw(turn: int) -> bool:
        start.wait(30)
        turned = names[turn:] + names[:turn]
        return all(as_inline_svg(CHARTS[name]) == alone[name] for name in turned)

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(draw, range(4)))


def test_importing_charts_imports_no_matplotlib_and_drawing_no_pyplot_nor_says_a_word(tmp_path: Path) -> None:
    code = (
        "import sys, triage.render.charts as c; print('matplotlib' in sys.modules, end=' ');"
        "c.as_inline_svg(c.shares_chart('a', 'b', 'c', [c.Share('d', 0.5)]));"
        "print('matplotlib' in sys.modules, 'matplotlib.pyplot' in sys.modules)"
    )
    # A folder that holds no list of the fonts yet.
    environment = os.environ | {"MPLCONFIGDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert done.stdout.split() == ["False", "True", "False"]
    assert done.stderr == ""


def test_an_id_that_can_not_stand_in_a_page_is_refused() -> None:
    with pytest.raises(ValueError, match="can't be the id"):
        shares_chart('a"b', "", "", [])
