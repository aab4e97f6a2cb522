from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from standardwebhooks.webhooks import Webhook

from tests.parts import served

Message = tuple[bytes, dict[str, str]]


class Receiver:
    """Keeps the messages that came to `url`, and answers with `status`."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.status = 200
        self.url = ""
        self.app = FastAPI()

        @self.app.post("/hook")
        async def hook(request: Request) -> Response:
            self.messages.append((await request.body(), dict(request.headers)))
            return Response(status_code=self.status)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    with served(receiver.app) as url:
        receiver.url = f"{url}/hook"
        yield receiver


def subscribe(client: httpx.Client, url: str, **fields: Any) -> dict[str, Any]:
    answer = client.post("/v1/subscriptions", json={"url": url} | fields)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def until(look: Callable[[], Any], timeout_s: float = 10) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def test_a_posted_incident_is_told_when_it_is_triaged(client: httpx.Client, receiver: Receiver) -> None:
    subscription = subscribe(client, receiver.url, events=["triaged"])
    client.post("/v1/incidents", json={"id": "told-1", "title": "T", "write_up": "The switch failed."})
    assert until(lambda: receiver.messages)

    body, headers = receiver.messages[0]
    message = Webhook(subscription["secret"]).verify(body, headers)
    assert message["data"]["incident_id"] == "told-1"
    assert message["data"]["labels"]["category"]["labels"] == ["infrastructure"]

    place = f"/v1/subscriptions/{subscription['id']}/notifications"
    (told,) = until(lambda: client.get(place, params={"state": "delivered"}).json()["notifications"])
    assert (told["id"], told["event"], told["attempts"]) == (headers["webhook-id"], "triaged", 1)

    again = client.post(f"{place}/{told['id']}/redeliver")
    assert (again.status_code, again.json()["state"]) == (202, "waiting")
    assert until(lambda: len(receiver.messages) == 2)
    assert receiver.messages[1][1]["webhook-id"] == told["id"]
    assert client.delete(f"/v1/subscriptions/{subscription['id']}").status_code == 204


def test_the_secret_is_shown_once(client: httpx.Client) -> None:
    made = subscribe(client, "https://hooks.example.org/triage", team="quiet")
    assert made["secret"].startswith("whsec_")
    place = f"/v1/subscriptions/{made['id']}"
    listed = client.get("/v1/subscriptions", params={"team": "quiet"})
    for answer in (client.get(place), listed):
        assert made["secret"] not in answer.text
        assert made["id"] in answer.text
    rotated = client.post(f"{place}/secret").json()["secret"]
    assert rotated not in ("", made["secret"])
    assert client.get("/v1/subscriptions", params={"team": "other"}).json() == {"subscriptions": []}


def test_a_test_says_what_came_of_it(client: httpx.Client, receiver: Receiver) -> None:
    made = subscribe(client, receiver.url, team="quiet", kind="slack")
    receiver.status = 503
    refused = client.post(f"/v1/subscriptions/{made['id']}/test").json()
    assert (refused["result"], refused["status"], refused["detail"]) == ("again", 503, "503 Service Unavailable")
    receiver.status = 204
    assert client.post(f"/v1/subscriptions/{made['id']}/test").json()["result"] == "delivered"
    assert b"This is a test" in receiver.messages[-1][0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"url": "https://169.254.169.254/latest"}, "url"),
        ({"url": "gopher://example.com"}, "url"),
        ({"url": "https://a:b@example.com"}, "url"),
        ({"url": "https://example.com", "kind": "telegram"}, "kind"),
        ({"url": "https://example.com", "events": []}, "events"),
        ({"url": "https://example.com", "events": ["exploded"]}, "events.0"),
        ({"url": "https://example.com", "team": "../x"}, "team"),
        ({"url": "https://example.com", "secret": "mine"}, "secret"),
    ],
)
def test_a_wrong_field_is_named(client: httpx.Client, body: dict[str, Any], field: str) -> None:
    answer = client.post("/v1/subscriptions", json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field


@pytest.mark.parametrize("key", ["sub_0", "ä", "x" * 300])
def test_what_is_not_there_is_not_found(client: httpx.Client, key: str) -> None:
    place = f"/v1/subscriptions/{key}"
    answers = [
        client.get(place),
        client.delete(place),
        client.post(f"{place}/test"),
        client.post(f"{place}/secret"),
        client.get(f"{place}/notifications"),
        client.post(f"{place}/notifications/msg_1/redeliver"),
        client.delete(f"/v1/webhook-sources/{key}"),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
