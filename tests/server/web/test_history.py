"""The history page: searched as one types, narrowed by labels, and kept as a file."""

from __future__ import annotations

import csv
import io

import pytest

from triage.domain.annotation import Assignment

from .conftest import OpenPage, Site, check_readable, in_store, picture
from .filled import named
from .triaged import LIKE_IT

pytestmark = pytest.mark.slow


def test_what_one_types_is_found_at_once_and_the_address_leads_back_to_it(open_page: OpenPage) -> None:
    page = open_page("/history")
    status = page.get_by_role("heading", level=2).first
    assert status.inner_text().startswith("455 incidents")
    page.keyboard.press("/")
    page.keyboard.type("redis cluster")
    page.wait_for_url("**q=redis%20cluster**")
    page.locator(".hits mark").first.wait_for()
    assert "found" in status.inner_text()
    first = page.locator(".hits h3").first.inner_text()
    check_readable(page)
    picture(page, "history-desk")
    page.reload()
    assert page.locator(".hits h3").first.inner_text() == first


def test_labels_narrow_what_is_found_and_can_be_taken_away(open_page: OpenPage) -> None:
    page = open_page("/history", "phone", color_scheme="dark")
    choice = page.locator("label.choice", has_text="Infrastructure").first
    count = int(choice.locator(".muted").inner_text())
    choice.click()
    page.wait_for_url("**facet.category=infrastructure**")
    page.get_by_role("heading", name=f"{count} incidents").wait_for()
    check_readable(page)
    picture(page, "history-phone")
    page.get_by_role("link", name="Clear labels").click()
    page.get_by_role("heading", name="455 incidents").wait_for()


def test_the_keyboard_walks_through_the_hits_and_opens_one(open_page: OpenPage) -> None:
    page = open_page("/history")
    page.keyboard.press("j")
    page.keyboard.press("j")
    second = page.locator(".hits > li").nth(1)
    assert second.get_attribute("aria-current") == "true"
    target = second.locator("h3 a").get_attribute("href")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{target}")


def test_more_is_shown_when_asked_for(open_page: OpenPage) -> None:
    page = open_page("/history")
    assert page.locator(".hits > li").count() == 20
    page.get_by_role("link", name="Show more").click()
    page.locator(".hits > li").nth(39).wait_for()


def test_nothing_found_says_what_to_do(service: Site) -> None:
    page = service.client.get("/history", params={"q": "zyxwvut", "mode": "words"}).text
    assert "Nothing fits" in page
    assert "Search for other words" in page


def test_a_file_of_a_part_says_that_there_are_more(service: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    assert service.client.get("/history/found.json").json()["caption"] == "455 incidents fit in all."
    monkeypatch.setattr("triage.server.web.history._MOST_FILE", 3)
    part = service.client.get("/history/found.json").json()
    assert (part["caption"], len(part["rows"])) == ("455 incidents fit in all; here are the first 3.", 3)


def test_labels_are_cleared_and_what_is_searched_for_is_kept(service: Site) -> None:
    asked = {"q": "redis", "mode": "words", "facet.category": "infrastructure"}
    page = service.client.get("/history", params=asked).text
    assert '<a href="/history?q=redis&amp;mode=words&amp;k=20" class="button">Clear labels</a>' in page


def test_what_is_to_be_labelled_blind_is_neither_found_nor_counted(service: Site) -> None:
    assigned = Assignment(incident_id=LIKE_IT, annotator="kay", facets=("category",))
    in_store(service, lambda store: store.assignments.add([assigned]))
    for path in ("/history?k=200&facet.category=infrastructure", "/history/found.csv", "/history/found.json"):
        assert LIKE_IT in service.client.get(path, headers=named("grace")).text
        assert LIKE_IT not in service.client.get(path, headers=named("kay")).text
    mine = service.client.get("/history", headers=named("kay")).text
    assert "454 incidents" in mine
    assert "What is yours to label blind is left out." in mine
    assert "label blind" not in service.client.get("/history", headers=named("grace")).text


def test_what_is_found_can_be_kept_as_a_file(service: Site) -> None:
    answer = service.client.get("/history/found.csv", params={"facet.category": "infrastructure"})
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert 'filename="history.csv"' in answer.headers["content-disposition"]
    assert rows
    assert all("infrastructure" in row["category"] for row in rows)
    as_json = service.client.get("/history/found.json", params={"q": "timeout"}).json()
    assert as_json["rows"][0]["cells"]["similarity"] is not None
