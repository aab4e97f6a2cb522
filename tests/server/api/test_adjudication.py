from __future__ import annotations

import uuid

import httpx
import pytest


@pytest.fixture
def name(client: httpx.Client) -> str:
    """An incident on which two people disagree."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    client.post("/v1/incidents", json={"id": name, "title": f"Title of {name}", "write_up": f"It was {name}."})
    for who, label in (("ada", "inference_engine"), ("grace", "operational")):
        body = {"facet": "category", "labels": [label], "annotator": who, "note": f"{who}'s reason"}
        assert client.post(f"/v1/incidents/{name}/annotations", json=body).status_code == 201
    return name


def open_ones(client: httpx.Client) -> list[str]:
    found, cursor = [], None
    while True:
        page = client.get("/v1/disagreements", params={"limit": 1} | ({"cursor": cursor} if cursor else {})).json()
        found += [each["incident_id"] for each in page["incidents"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


def test_a_disagreement_is_listed_settled_and_its_history_readable(client: httpx.Client, name: str) -> None:
    listed = client.get("/v1/disagreements", params={"limit": 200}).json()["incidents"]
    mine = next(each for each in listed if each["incident_id"] == name)
    assert mine["title"] == f"Title of {name}"
    said = mine["disagreements"][0]["annotations"]
    assert [(each["annotator"], each["labels"], each["note"]) for each in said] == [
        ("ada", ["inference_engine"], "ada's reason"),
        ("grace", ["operational"], "grace's reason"),
    ]

    example = client.get("/openapi.json").json()["paths"]["/v1/incidents/{incident_id}/adjudications"]["post"]
    body = example["requestBody"]["content"]["application/json"]["example"]
    posted = client.post(f"/v1/incidents/{name}/adjudications", json=body)

    assert posted.status_code == 201, posted.text
    gold = posted.json()["annotations"][0]
    assert (gold["is_gold"], gold["settles"]) == (True, [each["id"] for each in said])
    assert name not in open_ones(client)
    verdict = client.get(f"/v1/incidents/{name}/adjudications").json()["verdicts"][0]
    assert verdict == {"adjudication": gold, "settled": said}
    found = client.post("/v1/search", json={"text": f"It was {name}.", "k": 1}).json()["neighbours"][0]
    assert (found["incident_id"], found["labels"]) == (name, {"category": body["labels"]})


def test_pages_of_disagreements_are_newest_first(client: httpx.Client, name: str) -> None:
    second = f"{name}-b"
    client.post("/v1/incidents", json={"id": second, "write_up": f"It was {second}."})
    for who, label in (("ada", "infrastructure"), ("grace", "operational")):
        body = {"facet": "category", "labels": [label], "annotator": who}
        client.post(f"/v1/incidents/{second}/annotations", json=body)

    assert open_ones(client)[:2] == [second, name]


def test_what_can_not_be_settled_is_a_problem_that_says_why(client: httpx.Client, name: str) -> None:
    place = f"/v1/incidents/{name}/adjudications"
    one = {"facet": "category", "labels": ["operational"], "annotator": "lin"}

    nobody = client.post(place, json=one | {"facet": "severity", "labels": ["low"]})
    assert (nobody.status_code, "Nobody has labelled" in nobody.json()["detail"]) == (422, True)
    two = client.post(place, json=[one, one | {"annotator": "max"}])
    assert (two.status_code, two.json()["errors"][0]["field"]) == (422, "annotator")
    unknown = client.post(place, json=one | {"labels": ["operatonal"]})
    assert (unknown.status_code, "Did you mean: operational" in unknown.json()["detail"]) == (422, True)
    assert client.post("/v1/incidents/nobody/adjudications", json=one).status_code == 404
    assert client.get("/v1/incidents/nobody/adjudications").status_code == 404
    assert client.get("/v1/disagreements", params={"cursor": "nonsense"}).status_code == 422
    assert client.get(place).json() == {"verdicts": []}


def test_a_label_that_nobody_gave_needs_an_explicit_word(client: httpx.Client, name: str) -> None:
    place = f"/v1/incidents/{name}/adjudications"
    third = {"facet": "category", "labels": ["model_configuration"], "annotator": "lin"}

    refused = client.post(place, json=third)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "accepts_new_label")
    assert "they gave 'inference_engine', 'operational'" in refused.json()["detail"]
    assert client.post(place, json=third | {"accepts_new_label": True}).status_code == 201
