"""Labelling on pages: assigned, labelled blind by two people, settled by a third, and part of the history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import OpenPage, Site, check_readable, picture, site
from .filled import TAXONOMY, fill, named

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("label"), shipped_history=False) as made:
        yield made


def as_annotator(open_page: OpenPage, name: str, path: str = "/label") -> Any:
    """A browser of its own, in which somebody has said their name."""
    page = open_page("/label")
    page.get_by_label("Your name").fill(name)
    with page.expect_navigation():
        page.keyboard.press("Enter")
    if path != "/label":
        page.goto(path)
    return page


def assign(service: Site, names: str, incidents: list[str], **form: str) -> None:
    answer = service.client.post("/queue/assign", data={"incident": incidents, "annotators": names} | form)
    assert "more to label" in answer.text


def annotations(service: Site, name: str) -> list[dict[str, Any]]:
    return list(service.client.get(f"/v1/incidents/{name}/annotations").json()["annotations"])


def test_two_label_blind_a_third_settles_it_and_the_gold_label_joins_the_history(
    open_page: OpenPage, service: Site
) -> None:
    fill(service, "new-1", "new-2")
    page = open_page("/label/assign")
    check_readable(page)
    page.get_by_label("Annotators", exact=True).fill("ada, grace")
    for facet in ("Detection", "Mitigation", "Severity", "Modality"):
        page.get_by_label(facet, exact=True).uncheck()
    picture(page, "label-assign")
    page.get_by_role("button", name="Assign").click()
    page.get_by_text("2 incidents assigned: ada has 2 more, grace has 2 more.").wait_for()

    for name, keys in (("ada", "11"), ("grace", "12")):
        page = as_annotator(open_page, name)
        for _ in range(2):
            page.wait_for_url("**/label/incidents/**")
            here = page.url
            text = page.locator("main").inner_text()
            assert "blind" in text
            assert "93%" not in text
            assert "Says" not in text
            page.keyboard.press(keys[0])
            page.locator("fieldset", has_text="Failure mode").locator("label.choice").first.wait_for()
            # The second one of the two says something else of one incident.
            page.keyboard.press(keys[1] if "new-1" in here else "1")
            page.keyboard.press("n")
            page.keyboard.type(f"So says {name}.")
            if "new-1" in here:
                check_readable(page)
                picture(page, f"label-{name}")
            page.keyboard.press("Enter")
            page.wait_for_url(lambda url, here=here: url != here)
        page.get_by_text("All 2 incidents are labelled").wait_for()
        check_readable(page)
    assert {one["saw_model"] for one in annotations(service, "new-1")} == {False}

    page = as_annotator(open_page, "lin", "/label/adjudicate")
    text = page.locator("dl.sides").inner_text()
    assert all(part in text for part in ("ada", "grace", "So says ada.", "So says grace."))
    check_readable(page)
    picture(page, "adjudicate")
    page.keyboard.press("2")
    page.keyboard.press("n")
    page.keyboard.type("The second fits better.")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    page.get_by_text("There is no open disagreement").wait_for()
    assert page.get_by_text("Settled: Failure mode").is_visible()
    picture(page, "adjudicated")

    gold = [one for one in annotations(service, "new-1") if one["is_gold"] and one["facet"] == "failure_mode"]
    (settled,) = gold
    assert (settled["annotator"], settled["note"], len(settled["settles"])) == ("lin", "The second fits better.", 2)
    found = service.client.post("/v1/search", json={"text": "uplinks lost", "k": 5}).json()["neighbours"]
    labels = {one["incident_id"]: one["labels"] for one in found}
    assert labels["new-1"]["failure_mode"] == settled["labels"]
    # What both had said of the facet above was accepted with it.
    assert labels["new-1"]["category"] == ["infrastructure"]

    page.keyboard.press("b")
    page.wait_for_url("**/incidents/new-1?facet=failure_mode**")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.get_by_text("Settled: Failure mode").wait_for()
    assert len([one for one in annotations(service, "new-1") if one["is_gold"]]) == 3


def test_the_way_through_the_incidents_skips_goes_back_and_is_taken_up_again(
    open_page: OpenPage, service: Site
) -> None:
    fill(service, "new-w1", "new-w2", "new-w3")
    assign(service, "max", ["new-w1", "new-w2", "new-w3"])
    page = as_annotator(open_page, "max")
    page.wait_for_url("**/new-w1")
    page.keyboard.press("Enter")
    page.get_by_text("Nothing is chosen yet").wait_for()
    page.keyboard.press("s")
    page.wait_for_url("**/new-w2")
    page.keyboard.press("1")
    page.locator("fieldset", has_text="Failure mode").locator("label.choice").first.wait_for()
    page.keyboard.press("Enter")
    page.get_by_text("Saved. Still open: Failure mode, Detection").wait_for()
    assert page.url.endswith("/new-w2?saved=true")
    current = page.locator("#questions > [aria-current=true] legend")
    assert current.inner_text() == "Failure mode"
    page.keyboard.press("1")
    assert current.inner_text() == "Detection"
    page.keyboard.press("1")
    assert current.inner_text() == "Mitigation"
    # Of a facet with several labels each key is one more.
    page.keyboard.press("1")
    page.keyboard.press("2")
    page.keyboard.press("j")
    page.keyboard.press("1")
    page.keyboard.press("1")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new-w3")
    said = {one["facet"]: len(one["labels"]) for one in annotations(service, "new-w2")}
    assert said == {"category": 1, "failure_mode": 1, "detection": 1, "mitigation": 2, "severity": 1, "modality": 1}

    page.keyboard.press("b")
    page.wait_for_url("**/new-w2")
    page.get_by_text("You have labelled this one").wait_for()
    assert page.get_by_text("1 of 3 incidents done").is_visible()
    # Skipped ones come again at the end; another browser goes on where this one stopped.
    again = as_annotator(open_page, "max")
    again.wait_for_url("**/new-w1")


def test_a_new_parent_label_asks_for_what_refines_it_anew(open_page: OpenPage, service: Site) -> None:
    fill(service, "new-parent")
    assign(service, "eve", ["new-parent"])
    page = as_annotator(open_page, "eve")
    page.wait_for_url("**/new-parent")
    refining = page.locator("fieldset", has=page.locator("legend", has_text="Failure mode")).first
    assert "Answer the question above first." in refining.inner_text()
    facet = TAXONOMY.facet("failure_mode")
    for parent in ("infrastructure", "operational"):
        page.locator(f"[name='label.category'][value={parent}]").check()
        offered = [label.id for label in facet.children([parent])]
        page.locator(f"[name='label.failure_mode'][value={offered[0]}]").wait_for()
        shown = page.locator("[name='label.failure_mode']").all()
        assert [one.get_attribute("value") for one in shown] == offered
    # Nothing of it is kept before it is saved.
    assert annotations(service, "new-parent") == []


def test_definitions_are_there_on_demand(open_page: OpenPage, service: Site) -> None:
    fill(service, "new-words")
    assign(service, "ines", ["new-words"])
    page = as_annotator(open_page, "ines")
    page.wait_for_url("**/new-words")
    told = page.locator(".definitions dl").first
    assert not told.is_visible()
    page.keyboard.press("d")
    assert told.is_visible()
    page.keyboard.press("?")
    keys = page.locator("dialog[open] dl").inner_text()
    assert all(word in keys for word in ("Save and go on", "Skip for now", "Definitions", "Note"))
    page.keyboard.press("Escape")
    check_readable(page)


def test_a_phone_is_enough_to_label(open_page: OpenPage, service: Site) -> None:
    fill(service, "new-phone")
    assign(service, "otto", ["new-phone"], shows_model="true")
    page = open_page("/label", "phone", color_scheme="dark")
    page.get_by_label("Your name").fill("otto")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new-phone")
    assert page.get_by_text("with the model's labels").is_visible()
    check_readable(page)
    picture(page, "label-phone")


def test_the_models_labels_are_shown_only_where_the_assignment_lets_them(service: Site) -> None:
    fill(service, "new-m1", "unsure-m2")
    assign(service, "seer", ["new-m1", "unsure-m2"], shows_model="true")
    assign(service, "blind", ["new-m1"])
    seen = service.client.get("/label/incidents/new-m1", headers=named("seer")).text
    assert seen.count("the model&#39;s</span>") == 6 - 1
    unsure = service.client.get("/label/incidents/unsure-m2", headers=named("seer")).text
    assert "The model abstains on this." in unsure
    unseen = service.client.get("/label/incidents/new-m1", headers=named("blind")).text
    assert "the model&#39;s</span>" not in unseen


def test_labels_are_given_without_scripts_too(service: Site) -> None:
    fill(service, "new-plain")
    assign(service, "plain", ["new-plain"])
    headers = named("plain")
    place = "/label/incidents/new-plain"
    first = service.client.post(place, data={"label.category": "infrastructure"}, headers=headers)
    assert (first.status_code, first.headers["location"]) == (303, f"{place}?saved=true")

    wrong = {"label.category": "infrastructure", "label.failure_mode": "timeout"}
    refused = service.client.post(place, data=wrong, headers=headers)
    assert (refused.status_code, "does not fit" in refused.text) == (422, True)
    note = service.client.post(place, data={"note.severity": "bad"}, headers=headers)
    assert "Severity has a note and no label" in note.text
    more = {
        "label.category": "infrastructure",
        "also.category": ["operational", "infrastructure"],
        "note.category": "Two",
    }
    assert service.client.post(place, data=more, headers=headers).status_code == 303
    latest = annotations(service, "new-plain")[-1]
    assert (latest["labels"], latest["note"]) == (["infrastructure", "operational"], "Two")
    # The same again adds nothing.
    assert service.client.post(place, data=more, headers=headers).status_code == 303
    assert len(annotations(service, "new-plain")) == 2


def test_what_is_not_assigned_is_not_shown(service: Site) -> None:
    fill(service, "new-other")
    for headers in ({}, named("nobody")):
        answer = service.client.get("/label/incidents/new-other", headers=headers)
        assert answer.status_code == 404
        assert "is not assigned to" in answer.text
        assert "switch in rack 4" not in answer.text


def test_how_well_people_agree_is_kept_from_who_has_yet_to_label(open_page: OpenPage, service: Site) -> None:
    fill(service, "new-k1", "new-k2", "new-k3")
    names = ["new-k1", "new-k2", "new-k3"]
    for who in ("kay", "kim"):
        for name, label in zip(names, ("infrastructure", "operational", "operational"), strict=True):
            body = {"facet": "category", "labels": [label], "annotator": who}
            assert service.client.post(f"/v1/incidents/{name}/annotations", json=body).status_code == 201
    assign(service, "late", ["new-k1"])

    page = as_annotator(open_page, "late", "/label/progress")
    page.get_by_text("How well people agree is shown once you have labelled").wait_for()
    assert service.client.get("/label/progress/agreement.csv", headers=named("late")).status_code == 404
    assert "late" in service.client.get("/label/progress/annotators.csv").text

    page = as_annotator(open_page, "kay", "/label/progress")
    row = page.locator("table", has_text="Agreement so far").locator("tr", has_text="kay and kim")
    row.wait_for()
    assert row.locator("td").all_inner_texts()[1:3] == ["3", "100%"]
    check_readable(page)
    picture(page, "label-progress")
    page.get_by_role("button", name="Make gold what all agree on").click()
    page.get_by_text("all agreed on them").wait_for()
    page.reload()
    page.locator(".figures li", has_text="0 agreed on, not gold yet").wait_for()
    assert all(any(one["is_gold"] for one in annotations(service, name)) for name in names)


def test_nobody_settles_what_they_have_yet_to_label_nor_what_changed_meanwhile(service: Site) -> None:
    fill(service, "apart-1")
    assign(service, "judge", ["apart-1"])
    judge, lin = named("judge"), named("lin")
    place = "/label/adjudicate/incidents/apart-1"
    blind = service.client.get(place, headers=judge)
    assert blind.status_code == 409
    assert "Says grace" not in blind.text
    assert "Says grace" in service.client.get(place, headers=lin).text

    form = {"facet": "category", "label.category": "operational", "number": "1", "last": "1"}
    outdated = service.client.post(place, data=form, headers=lin)
    assert outdated.status_code == 412
    assert "have changed since" in outdated.text
    nothing = service.client.post(place, data=form | {"label.category": ""}, headers=lin)
    assert "Nothing is chosen yet" in nothing.text


def test_what_others_write_is_shown_as_text(service: Site) -> None:
    fill(service, "apart-x")
    for who in ("<script>alert(1)</script>", "max"):
        body = {"facet": "category", "labels": ["inference_engine"], "annotator": who, "note": "<b>bold</b>\x07"}
        assert service.client.post("/v1/incidents/apart-x/annotations", json=body).status_code == 201
    body = {"id": "odd", "title": "<script>alert(2)</script>", "write_up": "<img src=x onerror=alert(3)> \x07 \u202e"}
    service.client.post("/v1/incidents", json=body)
    assign(service, "reader", ["odd"])
    read = service.client.get("/label/incidents/odd", headers=named("reader")).text
    settled = service.client.get("/label/adjudicate/incidents/apart-x", headers=named("lin")).text
    for text in (read, settled):
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "<b>bold" not in text
        assert "\x07" not in text


def test_a_label_that_nobody_gave_is_asked_about_before_it_is_settled(open_page: OpenPage, service: Site) -> None:
    fill(service, "apart-3")
    for who, label in (("ada", "infrastructure"), ("max", "operational")):
        body = {"facet": "category", "labels": [label], "annotator": who}
        assert service.client.post("/v1/incidents/apart-3/annotations", json=body).status_code == 201
    page = as_annotator(open_page, "lin", "/label/adjudicate/incidents/apart-3")
    offered = page.locator("fieldset.ask:not(.also) > .choices input")
    assert [one.get_attribute("value") for one in offered.all()] == ["infrastructure", "operational"]
    picture(page, "adjudicate-given")

    page.keyboard.press("q")
    page.keyboard.press("3")
    page.keyboard.press("Enter")
    page.get_by_text("No annotator gave 'model_configuration'").wait_for()
    check_readable(page)
    picture(page, "adjudicate-third")
    page.keyboard.press("x")
    page.keyboard.press("Enter")
    page.get_by_text("Settled: Category").wait_for()
    (gold,) = [one for one in annotations(service, "apart-3") if one["is_gold"]]
    assert gold["labels"] == ["model_configuration"]


def test_that_no_cause_is_told_is_an_answer(open_page: OpenPage, service: Site) -> None:
    fill(service, "new-n1")
    assign(service, "nora", ["new-n1"])
    page = as_annotator(open_page, "nora")
    page.wait_for_url("**/new-n1")
    page.keyboard.press("0")
    page.get_by_text("Not told, like Category.").wait_for()
    check_readable(page)
    picture(page, "label-not-told")

    page.keyboard.press("Enter")
    page.get_by_text("Saved. Still open: Detection").wait_for()
    assert {one["facet"]: one["labels"] for one in annotations(service, "new-n1")} == {
        "category": [],
        "failure_mode": [],
    }
