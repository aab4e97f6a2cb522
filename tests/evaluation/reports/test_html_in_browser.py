"""The HTML report as people see it in Chromium: on a phone and a desk, light and dark, without scripts, in print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures_browser import SIZES, check_accessible
from triage.evaluation.reports.html import write_html

from .conftest import Shown, show

UNFOLD = "document.querySelectorAll('details').forEach(one => { one.open = true })"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def address(wild: Shown, tmp_path_factory: pytest.TempPathFactory) -> str:
    path: Path = tmp_path_factory.mktemp("page") / "report.html"
    return write_html(path, wild.report, wild.run, wild.taxonomy).as_uri()


# Of the session, and so made before the browser of the module: Playwright's loop lets no other one run beside it.
@pytest.fixture(scope="session")
def short_address(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of fewer cases: axe takes long for a long one."""
    folder = tmp_path_factory.mktemp("short")
    base = show(folder / "base", count=10, seed=2)
    shown = show(folder / "wild", count=10, base=base.run)
    return write_html(folder / "report.html", shown.report, shown.run, shown.taxonomy).as_uri()


@pytest.fixture
def open_page(browser: Any, address: str) -> Iterator[Any]:
    contexts = []

    def open_(size: str = "desk", at: str = address, **options: Any) -> Any:
        context = browser.new_context(viewport=SIZES[size], **options)
        contexts.append(context)
        page = context.new_page()
        page.goto(at)
        return page

    yield open_
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desk", "light")])
def test_everyone_can_read_it(open_page: Any, short_address: str, size: str, scheme: str) -> None:
    page = open_page(size, short_address, color_scheme=scheme)
    page.evaluate(UNFOLD)
    check_accessible(page)
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(20, 24, 28)")
    label = page.evaluate("getComputedStyle(document.querySelector('svg.plot text')).fill")
    assert label == page.evaluate("getComputedStyle(document.body).color")


@pytest.mark.parametrize("size", SIZES)
def test_only_tables_scroll_sideways(open_page: Any, size: str) -> None:
    page = open_page(size)
    page.evaluate(UNFOLD)
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size]["width"]
    beyond = page.evaluate(
        """() => [...document.querySelectorAll('main *')].filter(one =>
            !one.closest('.scroll') && !one.closest('.hidden') && !one.closest('svg')
            && one.getBoundingClientRect().right > document.documentElement.clientWidth + 1
        ).map(one => one.outerHTML.slice(0, 100))"""
    )
    assert beyond == []


def test_nothing_is_asked_for_and_nothing_is_refused(browser: Any, address: str) -> None:
    page = browser.new_page()
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append(dialog.message))
    page.goto(address, wait_until="networkidle")
    page.close()
    assert [url for url in asked if not url.startswith("data:")] == [address]
    assert said == []


def test_a_count_leads_to_its_cases_without_scripts(open_page: Any) -> None:
    page = open_page("phone", java_script_enabled=False)
    count = page.locator(".matrix td.miss a").first
    target = count.get_attribute("href")
    count.click()
    assert page.url.endswith(target)
    heading = page.locator(f"{target} th")
    heading.wait_for(state="visible")
    place = heading.bounding_box()
    assert place is not None
    assert 0 <= place["y"] < SIZES["phone"]["height"]


def test_the_keyboard_finds_the_way(open_page: Any) -> None:
    page = open_page("phone")
    page.keyboard.press("Tab")
    skip = page.locator(".skip")
    assert skip.evaluate("one => one === document.activeElement && one.getBoundingClientRect().left >= 0")
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.keyboard.press("Tab")
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"


def test_print_shows_what_is_folded_and_what_would_scroll(open_page: Any) -> None:
    page = open_page("desk", color_scheme="dark")
    folded = page.locator("details:not([open]) .write-up").first
    assert not folded.evaluate("one => one.checkVisibility({ contentVisibilityAuto: true })")
    page.emulate_media(media="print")
    assert folded.evaluate("one => one.checkVisibility({ contentVisibilityAuto: true })")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    cut = page.evaluate(
        "[...document.querySelectorAll('.tall')].filter(o => getComputedStyle(o).maxHeight !== 'none').length"
    )
    assert cut == 0
