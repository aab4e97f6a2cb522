"""The first page: a write-up goes in by pasting, dropping or typing, and leads to its incident."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.fake_openai import Answer

from .conftest import OpenPage, Site, check_readable, picture, site

pytestmark = pytest.mark.slow

MARKDOWN = """---
title: Chat answers with errors
service: router
severity: SEV-2
started_at: 2026-03-02 09:12
---
# What happened
From 09:12 UTC the network switch of one zone dropped packets. We drained the zone.
"""
ODD = "<script>alert('no')</script> & \"quotes\" \u202e \x07 {{ 7 * 7 }} ünïcode 🔥 failed."


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("triage")) as made:
        yield made


def send(at: Site, write_up: str, **fields: str) -> httpx.Response:
    return at.client.post("/", data={"write_up": write_up} | fields)


def incident_of(service: Site, answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 303, answer.text
    found: dict[str, Any] = service.client.get(f"/v1{answer.headers['location']}").json()
    return found


def test_a_pasted_write_up_leads_to_its_incident_by_the_keyboard_alone(open_page: OpenPage, service: Site) -> None:
    from playwright.sync_api import expect

    page = open_page("/")
    # Chromium gives the focus at its leisure, at times after all is loaded: keys before that go elsewhere.
    expect(page.locator("#write_up")).to_be_focused(timeout=60_000)
    page.keyboard.insert_text("The request router ran out of memory. We restarted it.")
    page.keyboard.press("Control+Enter")

    page.wait_for_url(re.compile(r"/incidents/inc-"))
    page.get_by_role("heading", name="The request router ran out of memory").first.wait_for()
    # The page follows the progress, and loads anew by itself.
    page.get_by_role("heading", name="Labels").wait_for(timeout=60_000)

    page.goto("/")
    expect(page.locator("#write_up")).to_be_focused(timeout=60_000)
    page.keyboard.press("Escape")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/incidents/inc-"))


def test_a_dropped_or_chosen_file_stands_in_the_field_unless_it_is_too_large(open_page: OpenPage) -> None:
    from playwright.sync_api import expect

    page = open_page("/")
    page.locator("#write_up").evaluate(
        """(field) => {
            const dropped = new DataTransfer();
            dropped.items.add(new File(['A switch failed at nine.'], 'incident.md', {type: 'text/markdown'}));
            for (const type of ['dragover', 'drop'])
                field.dispatchEvent(new DragEvent(type, {bubbles: true, cancelable: true, dataTransfer: dropped}));
        }"""
    )
    expect(page.locator("#write_up")).to_have_value("A switch failed at nine.")

    chosen = page.get_by_label("or choose a file")
    chosen.set_input_files({"name": "dump.log", "mimeType": "text/plain", "buffer": b"x" * 1_000_001})
    assert (
        "dump.log has 1,000,001 bytes, more than the 1,000,000 that are taken" in page.locator("#notices").inner_text()
    )
    chosen.set_input_files({"name": "small.log", "mimeType": "text/plain", "buffer": b"It failed."})
    expect(page.locator("#write_up")).to_have_value("It failed.")


def test_what_cannot_be_taken_is_told_and_what_was_typed_stays(open_page: OpenPage) -> None:
    page = open_page("/")
    page.locator("#write_up").fill("... !")
    page.get_by_label("Title").fill("Nothing at all")
    page.keyboard.press("Control+Enter")

    notice = page.locator("#notices .notice")
    notice.wait_for()
    assert "is empty: send the text of the incident" in notice.inner_text()
    assert page.locator("#write_up").input_value() == "... !"
    check_readable(page)
    notice.get_by_role("button", name="Dismiss").click()
    assert notice.count() == 0


def test_without_the_script_the_form_posts_and_comes_back_with_what_was_typed(open_page: OpenPage) -> None:
    page = open_page("/", java_script_enabled=False)
    page.locator("#write_up").fill("...")
    page.get_by_label("Service").fill("router")
    page.get_by_role("button", name="Triage").click()
    assert "is empty" in page.get_by_role("alert").inner_text()
    assert page.get_by_label("Service").input_value() == "router"

    page.locator("#write_up").fill("The router failed again, and we restarted it.")
    page.get_by_role("button", name="Triage").click()
    assert "/incidents/inc-" in page.url


@pytest.mark.parametrize(("size", "scheme"), [("phone", "dark"), ("desk", "light")])
def test_everyone_can_read_the_latest_incidents(open_page: OpenPage, service: Site, size: str, scheme: str) -> None:
    service.post("A second switch failed in the same zone, and traffic was moved away.", title="Second switch down")
    page = open_page("/", size, color_scheme=scheme)
    assert page.get_by_role("link", name="Second switch down").is_visible()
    check_readable(page)
    picture(page, f"triage-{size}-{scheme}")


def test_markdown_with_front_matter_is_understood_as_the_api_does(service: Site) -> None:
    found = incident_of(service, send(service, MARKDOWN.replace("\n", "\r\n")))

    incident = found["incident"]
    assert (incident["title"], incident["service"]) == ("Chat answers with errors", "router")
    assert incident["started_at"] == "2026-03-02T09:12:00Z"
    assert incident["write_up"].startswith("# What happened\nFrom 09:12")
    by_api = service.client.post("/v1/incidents", content=MARKDOWN, headers={"content-type": "text/markdown"})
    assert by_api.json().get("id", by_api.json().get("incident_id")) == incident["id"]


def test_what_stands_in_the_fields_counts_before_the_front_matter(service: Site) -> None:
    fields = {"title": "Mine", "severity": "SEV-1", "started_at": "2026-03-02T10:00", "service": " "}
    incident = incident_of(service, send(service, MARKDOWN, **fields))["incident"]

    assert (incident["title"], incident["severity"], incident["service"]) == ("Mine", "SEV-1", "router")
    assert incident["started_at"] == "2026-03-02T10:00:00Z"
    plain = incident_of(service, send(service, "# Zone down\nA switch failed.", title="Given"))["incident"]
    assert (plain["title"], plain["write_up"]) == ("Given", "# Zone down\nA switch failed.")


@pytest.mark.parametrize(
    ("write_up", "fields", "status", "told"),
    [
        ("  \n ", {}, 422, "There is no write-up: paste or type what happened"),
        ("It failed.", {"started_at": "yesterday"}, 422, "started_at"),
        ("It failed.", {"team": "No Team!"}, 422, "team"),
        ("x " * 500_001, {}, 413, "The write-up is larger than 1,000,000 bytes: leave out logs and dumps."),
        ("---\ntitle: [\n---\nIt failed.", {}, 422, "The front matter is not YAML (line"),
    ],
)
def test_what_is_wrong_is_said_on_the_page(
    service: Site, write_up: str, fields: dict[str, str], status: int, told: str
) -> None:
    answer = send(service, write_up, **fields)
    assert answer.status_code == status
    assert told in answer.text
    as_part = service.client.post("/", data={"write_up": write_up} | fields, headers={"hx-request": "true"})
    assert (as_part.status_code, "<html" in as_part.text) == (status, False)


def test_the_same_write_up_again_leads_to_the_same_incident(service: Site) -> None:
    first, second = (send(service, "The very same words.").headers["location"] for _ in range(2))
    assert first == second


def test_what_others_wrote_is_shown_and_never_run(service: Site) -> None:
    place = send(service, ODD, title=ODD).headers["location"]
    listed = service.client.get("/").text
    shown = service.client.get(place).text
    for text in (listed, shown):
        assert "<script>alert" not in text
        assert "&lt;script&gt;alert" in text
        assert "{{ 7 * 7 }}" in text
        assert "\x07" not in text


def test_the_list_is_fetched_anew_only_while_something_waits(service: Site) -> None:
    service.fake.otherwise = Answer(delay_s=1)
    send(service, "This one takes its time, says the router.")
    assert 'hx-trigger="every 3s"' in service.client.get("/latest").text
    service.fake.otherwise = Answer()
    for _ in range(100):
        if "hx-trigger" not in (text := service.client.get("/latest").text):
            break
    assert "<html" not in text
    assert "in triage" not in text
