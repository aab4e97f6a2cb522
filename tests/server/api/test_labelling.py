from __future__ import annotations

import asyncio
import uuid

import httpx
import pytest

from triage.domain.annotation import Assignment
from triage.store import Store

WAIT = {"Prefer": "wait=15"}
FACETS = ("category", "failure_mode")


@pytest.fixture
def name(client: httpx.Client) -> str:
    """An incident that is stored and triaged; the model calls it infrastructure."""
    name = f"t-{uuid.uuid4().hex[:12]}"
    body = {
        "id": name,
        "title": "Zone gone",
        "write_up": f"A switch of {name} lost its uplinks.",
        "attributes": {"x": 1},
    }
    assert client.post("/v1/incidents", json=body, headers=WAIT).status_code == 200
    return name


def assign(database: str, incident_id: str, annotator: str, *, shows_model: bool = False) -> None:
    async def add() -> None:
        store = Store(database)
        await store.assignments.add(
            [Assignment(incident_id=incident_id, annotator=annotator, facets=FACETS, shows_model=shows_model)]
        )
        await store.close()

    asyncio.run(add())


def say(client: httpx.Client, place: str, annotator: str, facet: str, label: str) -> dict:
    body = {"facet": facet, "labels": [label], "annotator": annotator, "note": f"Said by {annotator}."}
    posted = client.post(place, json=body)
    assert posted.status_code == 201
    return posted.json()["annotations"][0]


def test_annotators_label_one_incident_blind_until_they_are_done(
    client: httpx.Client, database: str, name: str
) -> None:
    ada, grace = f"ada-{name}", f"grace@{name}.org"
    assign(database, name, ada)
    assign(database, name, grace)

    first = client.get(f"/v1/annotators/{ada}/next").json()
    assert (first["assigned"], first["done"]) == (1, 0)
    task = first["task"]
    assert (task["incident_id"], task["title"], task["model"]) == (name, "Zone gone", None)
    assert "lost its uplinks" in task["write_up"]
    assert [(f["id"], f["is_open"], len(f["labels"])) for f in task["facets"]] == [
        ("category", True, 4),
        ("failure_mode", False, 0),
    ]

    said = say(client, task["annotations"], ada, "category", "infrastructure")
    assert said["saw_model"] is False
    second = client.get(f"/v1/annotators/{ada}/next").json()["task"]["facets"][1]
    assert (second["is_open"], {label["parent"] for label in second["labels"]}) == (True, {"infrastructure"})
    say(client, task["annotations"], ada, "failure_mode", "network")
    done = client.get(f"/v1/annotators/{ada}/next").json()
    assert (done["assigned"], done["done"], done["task"]) == (1, 1, None)

    other = client.get(f"/v1/annotators/{grace}/next")
    assert other.headers["cache-control"] == "no-store"
    assert ada not in other.text
    assert all(facet["given"] == [] for facet in other.json()["task"]["facets"])


def test_the_models_labels_come_only_where_the_assignment_lets_them_and_that_is_on_record(
    client: httpx.Client, database: str, name: str
) -> None:
    seeing, stranger = f"seeing-{name}", f"stranger-{name}"
    assign(database, name, seeing, shows_model=True)

    task = client.get(f"/v1/annotators/{seeing}/next").json()["task"]
    assert task["model"] == {"category": ["infrastructure"]}
    assert say(client, task["annotations"], seeing, "category", "infrastructure")["saw_model"] is True
    assert say(client, task["annotations"], stranger, "category", "infrastructure")["saw_model"] is None

    declared = {"facet": "category", "labels": ["operational"], "annotator": seeing, "saw_model": False}
    refused = client.post(task["annotations"], json=declared)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "saw_model")


def test_a_skipped_incident_is_given_when_no_other_is_left(client: httpx.Client, database: str, name: str) -> None:
    other = f"{name}-b"
    client.post("/v1/incidents", json={"id": other, "write_up": f"Another one, {other}."}, headers=WAIT)
    ada = f"ada-{name}"
    for each in (name, other):
        assign(database, each, ada)

    def given(*skip: str) -> str:
        return client.get(f"/v1/annotators/{ada}/next", params={"skip": skip}).json()["task"]["incident_id"]

    assert [given(), given(name), given(name, other)] == [name, other, name]


def test_who_has_no_assignment_is_told_how_to_get_one(client: httpx.Client) -> None:
    refused = client.get("/v1/annotators/nobody/next")
    assert refused.status_code == 404
    assert "triage annotate assign" in refused.json()["detail"]
