"""What holds for every page: signing in, errors, keys, light and dark, and nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from triage.server.web.pages import NAVIGATION

from .conftest import OpenPage, Site, check_readable, picture, site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A service that knows no incident."""
    with site(tmp_path_factory.mktemp("empty"), shipped_history=False) as made:
        yield made


@pytest.mark.parametrize("item", NAVIGATION, ids=lambda item: item.name)
@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desk", "light")])
def test_everyone_can_read_a_page_with_nothing_in_it(open_page: OpenPage, item: Any, size: str, scheme: str) -> None:
    page = open_page(item.path, size, color_scheme=scheme)
    assert page.locator(".top nav a[aria-current]").inner_text() == item.name
    check_readable(page)
    picture(page, f"empty-{item.name.lower()}-{size}-{scheme}")


def test_the_policy_forbids_what_is_inline_and_what_is_elsewhere(service: Site) -> None:
    answer = service.client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert "<style" not in answer.text
    assert " style=" not in answer.text


def test_static_files_are_kept_by_browsers_and_change_their_name_when_they_change(service: Site) -> None:
    page = service.client.get("/").text
    names = [part.split('"')[0] for part in page.split('="')[1:] if part.startswith("/static/")]
    assert {name.rpartition("/")[2] for name in names} >= {"style.css", "app.js", "htmx.js", "icon.svg"}
    for name in names:
        answer = service.client.get(name)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]


def test_nothing_there_is_a_page_for_people_and_a_problem_for_programs(service: Site) -> None:
    for_people = service.client.get("/nowhere", headers={"accept": "text/html"})
    assert (for_people.status_code, for_people.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no page /nowhere." in for_people.text
    for_programs = service.client.get("/nowhere")
    assert for_programs.headers["content-type"] == "application/problem+json"
    missing = service.client.get("/v1/nowhere", headers={"accept": "text/html"})
    assert missing.headers["content-type"] == "application/problem+json"


def test_a_form_of_another_website_changes_nothing(service: Site) -> None:
    answer = httpx.post(f"{service.url}/logout", headers={"origin": "https://evil.example"})
    assert answer.status_code == 403


def test_what_is_refused_before_any_page_is_asked_is_told_in_words(open_page: OpenPage) -> None:
    page = open_page("/queue")
    page.evaluate("htmx.ajax('GET', '/queue?q=' + 'x'.repeat(9000), '#notices')")
    notice = page.locator("#notices .notice")
    notice.wait_for()
    assert notice.inner_text() == "The address is longer than 8,192 bytes."


def test_the_keyboard_leads_from_page_to_page_and_tells_how(open_page: OpenPage) -> None:
    page = open_page("/")
    # One can begin to write at once there, and has to leave the field for shortcuts.
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    listed = page.locator("dialog[open] dl").inner_text()
    assert all(item.name in listed for item in NAVIGATION)
    check_readable(page)
    picture(page, "shortcuts")
    page.keyboard.press("Escape")
    for item in NAVIGATION[::-1]:
        page.keyboard.press("g")
        page.keyboard.press(item.key)
        page.wait_for_url(f"**{item.path}")


def test_light_and_dark_follow_the_system_until_somebody_chooses(open_page: OpenPage) -> None:
    page = open_page("/", color_scheme="dark")
    background = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(background) == "rgb(20, 24, 28)"
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
    page.reload()
    assert page.evaluate(background) == "rgb(255, 255, 255)"
