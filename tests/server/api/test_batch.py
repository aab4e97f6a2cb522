from __future__ import annotations

import json
import time
import uuid
from typing import Any

import httpx
import pytest

from tests.server.api.test_bad_input import check_problem

NDJSON = {"Content-Type": "application/x-ndjson"}


@pytest.fixture
def name() -> str:
    return f"b-{uuid.uuid4().hex[:12]}"


def incidents(name: str, n: int) -> list[dict[str, Any]]:
    return [{"id": f"{name}-{i}", "write_up": f"A switch of {name} {i} failed."} for i in range(n)]


def test_a_batch_is_taken_and_its_triages_can_be_followed(client: httpx.Client, name: str) -> None:
    posted = client.post("/v1/incidents/batch", json={"incidents": incidents(name, 30)})
    assert posted.status_code == 202
    assert (posted.json()["accepted"], posted.json()["failed"]) == (30, 0)

    place, done = posted.json()["triages"], {}
    deadline = time.monotonic() + 20
    while len(done) < 30 and time.monotonic() < deadline:
        page = client.get(place, params={"documents": True, "limit": 7} | dict(httpx.URL(place).params)).json()
        done |= {each["incident_id"]: each for each in page["triages"]}
        place = f"/v1/triages?cursor={page['next_cursor']}"
        if not page["has_more"]:
            time.sleep(0.05)

    assert set(done) == {f"{name}-{i}" for i in range(30)}
    one = done[f"{name}-3"]
    assert one["triage"] == client.get(one["links"]["triage"]).json()


def test_each_item_is_judged_by_itself(client: httpx.Client, name: str) -> None:
    good = {"id": name, "write_up": "It failed."}
    client.post("/v1/incidents", json=good)
    items = [
        good,
        {"id": name, "write_up": "Something else."},
        {"id": f"{name}-new", "write_up": "New."},
        {"id": f"{name}-new", "write_up": "New."},
        {"id": f"{name}-new", "write_up": "Newer."},
        {"id": "no spaces", "write_up": "x"},
        {"write_up": "network " * 15_000},
        {"write_up": "x", "taxonomy": "weather"},
        {"write_up": f"Without an id: {name}."},
        None,
        [],
    ]
    answer = client.post("/v1/incidents/batch", json={"incidents": items})

    assert answer.status_code == 207
    got = answer.json()["items"]
    statuses = [each["status"] for each in got]
    assert statuses == [
        "known",
        "conflict",
        "accepted",
        "known",
        "conflict",
        *["invalid"] * 3,
        "accepted",
        *["invalid"] * 2,
    ]
    assert [each["index"] for each in got] == list(range(len(items)))
    assert got[1]["problem"]["status"] == 409
    assert [error["field"] for error in got[5]["problem"]["errors"]] == ["id"]
    assert [each["problem"]["status"] for each in got[6:8]] == [413, 422]
    assert client.get(got[8]["links"]["incident"]).status_code == 200


def test_lines_are_taken_as_a_list_is_and_a_broken_one_harms_no_other(client: httpx.Client, name: str) -> None:
    lines = [json.dumps(each) for each in incidents(name, 3)]
    content = "\r\n".join([lines[0], "{broken", "", lines[1], lines[2]])
    answer = client.post("/v1/incidents/batch", content=content, headers=NDJSON)

    assert answer.status_code == 207
    assert [each["status"] for each in answer.json()["items"]] == ["accepted", "invalid", "accepted", "accepted"]
    assert answer.json()["items"][1]["problem"]["request_id"] == answer.headers["X-Request-Id"]


def test_a_batch_sent_again_adds_nothing(client: httpx.Client, name: str) -> None:
    body = {"incidents": incidents(name, 5)}
    client.post("/v1/incidents/batch", json=body)
    again = client.post("/v1/incidents/batch", json=body)
    assert (again.status_code, again.json()["known"], again.json()["accepted"]) == (202, 5, 0)


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {"Content-Type": "application/json"}, 422),
        (b"[]", {"Content-Type": "application/json"}, 422),
        (b'{"incidents": []}', {"Content-Type": "application/json"}, 422),
        (b'{"incidents": {}}', {"Content-Type": "application/json"}, 422),
        (b'{"incidents": [NaN]}', {"Content-Type": "application/json"}, 422),
        (b"\n\n", NDJSON, 422),
        (b"1\n" * 1_001, NDJSON, 422),
        (b"x", {"Content-Type": "text/plain"}, 415),
        (b"\xff", NDJSON, 422),
        (b"x" * 20_000_001, NDJSON, 413),
    ],
)
def test_a_body_that_is_no_batch_is_refused(
    client: httpx.Client, content: bytes, headers: dict[str, str], status: int
) -> None:
    check_problem(client.post("/v1/incidents/batch", content=content, headers=headers), status)


def test_a_page_names_the_next_with_its_filters(client: httpx.Client, name: str) -> None:
    body = [each | {"service": name} for each in incidents(name, 3)]
    client.post("/v1/incidents/batch", json={"incidents": body})
    first = client.get("/v1/incidents", params={"service": name, "limit": 2})
    second = client.get(first.links["next"]["url"])

    assert [len(page.json()["incidents"]) for page in (first, second)] == [2, 1]
    assert "link" not in second.headers
    check_problem(client.get("/v1/triages", params={"since": "1700000000"}), 422, "since")
