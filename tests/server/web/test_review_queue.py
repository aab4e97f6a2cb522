"""The queue as an on-call engineer works through it: look, choose by keyboard, confirm, try again, assign."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .conftest import OpenPage, Site, check_readable, picture, site
from .filled import LABELS, fill, named

pytestmark = pytest.mark.slow

TABS = {
    "new": ["new-2", "new-1", "worse-1", "unsure-1"],
    "abstained": ["unsure-1"],
    "disagreed": ["apart-1", "against-1"],
    "degraded": ["worse-1"],
    "untriaged": ["failed-1"],
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("queue"), shipped_history=False) as made:
        fill(made, "unsure-1", "failed-1", "worse-1", "against-1", "apart-1", "new-1", "new-2")
        yield made


def listed(text: str) -> list[str]:
    """The ids of the incidents on a page, in their order."""
    return re.findall(r'name="incident" value="([^"]+)"', text)


def test_every_part_of_the_queue_says_how_many_it_holds_and_why(open_page: OpenPage) -> None:
    page = open_page("/queue")
    for kind, names in TABS.items():
        page.locator(f"#n-{kind}", has_text=str(len(names))).wait_for()
    for n, (kind, names) in enumerate(TABS.items(), start=1):
        page.keyboard.press(str(n))
        page.wait_for_url(f"**tab={kind}")
        shown = page.locator("ol.work input[name=incident]")
        assert [one.get_attribute("value") for one in shown.all()] == names
        check_readable(page)
        picture(page, f"queue-{kind}-desk")
    page.keyboard.press("3")
    page.wait_for_url("**tab=disagreed")
    tags = page.locator("ol.work .tag").all_inner_texts()
    assert tags == ["people differ: Category", "person and model differ: Category"]
    page.keyboard.press("j")
    page.keyboard.press("j")
    check_readable(page)
    page.keyboard.press("Enter")
    page.wait_for_url("**/incidents/against-1")


@pytest.mark.parametrize("kind", ["new", "disagreed"])
def test_the_queue_can_be_read_on_a_phone_in_the_dark(open_page: OpenPage, kind: str) -> None:
    page = open_page(f"/queue?tab={kind}", "phone", color_scheme="dark")
    page.locator("#n-new", has_text="4").wait_for()
    check_readable(page)
    picture(page, f"queue-{kind}-phone")


def test_labels_of_many_incidents_are_confirmed_by_keyboard(open_page: OpenPage, service: Site) -> None:
    fill(service, "new-c1", "new-c2", "new-c3")
    page = open_page("/queue")
    for key in ("j", "x", "j", "x"):
        page.keyboard.press(key)
    assert page.get_by_text("2 chosen").is_visible()
    page.keyboard.press("c")
    page.get_by_text("Say who labels").wait_for()

    page.get_by_label("as", exact=True).fill("lin")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    page.get_by_text("lin confirmed 12 labels of 2 incidents.").wait_for()
    assert not page.get_by_text("Say who labels").is_visible()
    picture(page, "queue-confirmed")

    left = [one.get_attribute("value") for one in page.locator("ol.work input[name=incident]").all()]
    assert left[0] == "new-c1"
    assert not {"new-c2", "new-c3"} & set(left)
    given = service.client.get("/v1/incidents/new-c3/annotations").json()["annotations"]
    assert {one["facet"]: one["labels"][0] for one in given} == LABELS
    assert {(one["annotator"], one["origin"], one["saw_model"], one["is_gold"]) for one in given} == {
        ("lin", "human", True, False)
    }
    # The browser keeps the name.
    page.reload()
    assert page.get_by_label("as", exact=True).input_value() == "lin"


def test_confirmed_as_gold_incidents_join_the_history(service: Site) -> None:
    fill(service, "new-gold")
    shown = re.findall(r'name="shown" value="([^"]+)"', service.client.get("/queue?tab=new").text)
    form = {"incident": "new-gold", "annotator": "lin", "is_gold": "true", "shown": shown}
    answer = service.client.post("/queue/confirm?tab=new", data=form)
    assert "lin confirmed 6 labels of 1 incident, as gold" in answer.text
    found = service.client.post("/v1/search", json={"text": "uplinks lost", "k": 9}).json()["neighbours"]
    assert "new-gold" in [one["incident_id"] for one in found]


def test_a_degraded_triage_is_made_again(open_page: OpenPage, service: Site) -> None:
    fill(service, "worse-r1", "worse-r2")
    page = open_page("/queue?tab=degraded")
    for name in ("worse-r1", "worse-r2"):
        page.locator(f"input[name=incident][value={name}]").check()
    page.keyboard.press("t")
    page.get_by_text("2 incidents will be triaged again.").wait_for()

    for name in ("worse-r1", "worse-r2"):
        assert _triaged(service, name)["degraded"] is False
    assert listed(service.client.get("/queue?tab=degraded").text) == ["worse-1"]


def test_a_failed_incident_is_tried_again_and_others_are_left_alone(service: Site) -> None:
    fill(service, "failed-r")
    answer = service.client.post("/queue/retry?tab=untriaged", data={"incident": ["failed-r", "new-1"]})
    assert "1 incident will be triaged again." in answer.text
    assert "new-1 was left out" in answer.text
    assert _triaged(service, "failed-r")["facets"]


def test_chosen_incidents_are_assigned_and_their_triage_is_withheld_from_who_labels_blind(
    open_page: OpenPage, service: Site
) -> None:
    fill(service, "new-b1", "new-b2")
    page = open_page("/queue")
    page.locator("input[name=incident][value=new-b1]").check()
    page.locator("input[name=incident][value=new-b2]").check()
    page.keyboard.press("a")
    page.get_by_label("To each of").fill("blind, other")
    page.get_by_role("button", name="Assign the chosen ones").click()
    page.get_by_text("blind has 2 incidents more to label, other has 2 incidents more to label.").wait_for()

    mine = service.client.get("/queue", headers=named("blind")).text
    line = mine[mine.index('value="new-b1"') :].partition("</li>")[0]
    assert "yours to label blind" in line
    assert "Network" not in line
    counted = [
        service.client.get("/queue/counts?label=failure_mode:network", headers=named(one)).text
        for one in ("grace", "blind")
    ]
    everyones, mine = (int(re.findall(r'id="n-new"[^>]*>(\d+)', one)[0]) for one in counted)
    assert mine == everyones - 2
    refused = service.client.post("/queue/confirm", data={"incident": "new-b1", "annotator": "blind"}).text
    assert "Nothing was confirmed." in refused
    assert "without seeing the model" in refused


def test_all_on_a_page_are_chosen_at_once(open_page: OpenPage) -> None:
    page = open_page("/queue?tab=disagreed")
    page.get_by_label("All on this page").check()
    assert page.get_by_text("2 chosen").is_visible()
    page.get_by_label("All on this page").uncheck()
    assert page.get_by_text("0 chosen").is_visible()


def test_filters_narrow_what_is_shown_and_counted_and_stay_in_the_address(open_page: OpenPage) -> None:
    page = open_page("/queue?tab=disagreed")
    page.get_by_label("Service").fill("mail")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing fits the filters").wait_for()
    assert "service=mail" in page.url
    page.locator("#n-disagreed", has_text="0").wait_for()
    page.get_by_role("link", name="Show all of this part").click()
    page.get_by_label("Label of the triage").select_option("category:infrastructure")
    page.wait_for_url("**label=category%3Ainfrastructure**")
    assert page.locator("ol.work > li").count() == 2


def test_filters_that_cannot_be_are_explained(service: Site) -> None:
    for query, told in (
        ("since=yesterday", "is no day"),
        ("since=0001-01-01T00:00%2B23:00", "is no day"),
        ("since=9999-12-31T23:00-23:00", "is no day"),
        ("label=category:nonsense", "is no label of facet"),
        ("label=nonsense", "is no facet"),
        ("cursor=nonsense", "The cursor is not one"),
        ("tab=nonsense", "Input should be"),
    ):
        answer = service.client.get(f"/queue?{query}")
        assert answer.status_code == 422, query
        assert told in answer.text
    assert service.client.get("/queue?tab=disagreed&since=2100-01-01&severity=sev2").text.count("ol class") == 0


def test_pages_do_not_shift_when_incidents_come_in(service: Site) -> None:
    fill(service, *(f"new-p{n:02}" for n in range(30)))
    first = service.client.get("/queue").text
    older = re.search(r'href="(/queue\?[^"]*cursor=[^"]*)"', first)
    assert older is not None
    then = listed(service.client.get(older[1].replace("&amp;", "&")).text)
    fill(service, "new-later")
    assert listed(service.client.get(older[1].replace("&amp;", "&")).text) == then
    assert listed(first) + then[:5] == [f"new-p{n:02}" for n in range(29, -1, -1)]


def test_nothing_chosen_is_told(service: Site) -> None:
    for action in ("confirm", "retry", "assign"):
        answer = service.client.post(f"/queue/{action}", data={"annotator": "lin", "annotators": "lin"})
        assert answer.status_code == 422
        assert "No incident is chosen" in answer.text
    nul = service.client.post("/queue/confirm", data={"annotator": "lin", "incident": "\x00"})
    assert (nul.status_code, "NUL characters" in nul.text) == (422, True)
    for path in ("/queue/assign", "/label/assign"):
        long = service.client.post(path, data={"incident": "new-1", "annotators": f"max, {'x' * 201}"})
        assert (long.status_code, "longer than 200 characters" in long.text) == (422, True)
    unknown = service.client.post("/queue/confirm", data={"annotator": "lin", "incident": "none"})
    assert unknown.status_code == 404


def test_what_others_write_is_shown_as_text(service: Site) -> None:
    title = '<script>alert(1)</script> "quoted" \u202e \x07'
    body = {"id": "strange", "title": title, "write_up": "It failed.", "service": "<b>chat</b>", "severity": "'><i>"}
    assert service.client.post("/v1/incidents", json=body).status_code == 202
    _triaged(service, "strange")
    text = service.client.get("/queue?service=%3Cb%3Echat%3C/b%3E").text
    assert listed(text) == ["strange"]
    assert "<script>alert" not in text
    assert "<b>chat" not in text
    assert "'><i>" not in text
    assert "\x07" not in text


def test_a_page_of_another_website_confirms_nothing(service: Site) -> None:
    form: dict[str, Any] = {"incident": "new-1", "annotator": "eve"}
    answer = httpx.post(f"{service.url}/queue/confirm", data=form, headers={"origin": "https://evil.example"})
    assert answer.status_code == 403


def _triaged(service: Site, name: str) -> dict[str, Any]:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        answer = service.client.get(f"/v1/incidents/{name}/triage")
        if answer.status_code == 200:
            return dict(answer.json())
        time.sleep(0.05)
    raise TimeoutError(f"{name} is not triaged: {answer.text}")
