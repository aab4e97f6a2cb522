from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from tests.intake.webhooks import payloads
from tests.intake.webhooks.payloads import encoded


def source(client: httpx.Client, kind: str, **fields: Any) -> tuple[str, str]:
    """The URL and the secret of a new source."""
    answer = client.post("/v1/webhook-sources", json={"kind": kind} | fields)
    assert answer.status_code == 201, answer.text
    return answer.json()["url"], answer.json()["secret"]


def signed(kind: str, secret: str, body: bytes, at: datetime | None = None) -> dict[str, str]:
    moment = at or datetime.now(UTC)
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "alertmanager": {"Authorization": f"Bearer {secret}"},
        "grafana": {"X-Grafana-Alerting-Signature": digest},
        "pagerduty": {"X-PagerDuty-Signature": f"v1={digest}"},
    }.get(kind) or {
        "webhook-id": "msg_1",
        "webhook-timestamp": f"{int(moment.timestamp())}",
        "webhook-signature": Webhook(secret).sign("msg_1", moment, body.decode()),
    }


@pytest.mark.parametrize("kind", ["alertmanager", "grafana", "pagerduty", "incident_io", "generic"])
def test_an_incident_that_comes_in_twice_is_triaged_once_for_the_team_of_its_source(
    client: httpx.Client, kind: str
) -> None:
    url, secret = source(client, kind, team="serving")
    body = encoded(getattr(payloads, kind)())

    first = client.post(url, content=body, headers=signed(kind, secret, body))
    assert first.status_code == 202, first.text
    (incident_id,) = first.json()["accepted"]
    triage = client.get(f"/v1/incidents/{incident_id}/triage", headers={"Prefer": "wait=10"})
    assert triage.status_code == 200

    second = client.post(url, content=body, headers=signed(kind, secret, body))
    assert (second.status_code, second.json()) == (200, {"accepted": [], "known": [incident_id], "ignored": []})
    listed = client.get("/v1/incidents", params={"limit": 200}).json()["incidents"]
    assert [each["team"] for each in listed if each["id"] == incident_id] == ["serving"]


def test_a_group_of_which_more_is_told_by_now_stays_the_same_incident(client: httpx.Client) -> None:
    url, secret = source(client, "alertmanager")
    payload = payloads.alertmanager()
    for status in (202, 200):
        body = encoded(payload)
        answer = client.post(url, content=body, headers=signed("alertmanager", secret, body))
        assert answer.status_code == status
        payload["alerts"].append(payload["alerts"][0] | {"startsAt": "2026-03-02T09:30:00Z"})


def test_what_makes_no_incident_is_answered_with_200_and_why(client: httpx.Client) -> None:
    url, secret = source(client, "alertmanager")
    body = encoded(payloads.alertmanager(status="resolved"))
    answer = client.post(url, content=body, headers=signed("alertmanager", secret, body))
    assert answer.status_code == 200
    assert answer.json()["ignored"][0].startswith("No alert is firing")


def test_a_source_that_there_is_not_answers_like_a_wrong_signature(client: httpx.Client) -> None:
    url, _ = source(client, "generic")
    body = encoded(payloads.generic())
    stranger = "whsec_" + "YW5vdGhlciBzZWNyZXQgb2YgMzIgcmFuZG9tIGJ5dGVz"
    old = datetime.now(UTC) - timedelta(hours=1)
    places = (url, "/v1/webhooks/src_0", "/v1/webhooks/" + "x" * 500)
    answers = [
        client.post(place, content=body, headers=headers).json() | {"instance": "", "request_id": ""}
        for place in places
        for headers in ({}, signed("generic", stranger, body), signed("generic", stranger, body, old))
    ]
    assert answers == [answers[0]] * len(answers)
    assert (answers[0]["status"], answers[0]["part"]) == (401, "signature")


def test_an_old_message_is_refused_with_a_word_on_the_clocks(client: httpx.Client) -> None:
    url, secret = source(client, "generic")
    body = encoded(payloads.generic())
    for shift in (timedelta(minutes=-6), timedelta(minutes=6)):
        headers = signed("generic", secret, body, datetime.now(UTC) + shift)
        answer = client.post(url, content=body, headers=headers)
        assert (answer.status_code, answer.json()["part"]) == (401, "timestamp")
        assert "clocks" in answer.json()["detail"]


def test_a_secret_of_the_senders_can_be_set_later(client: httpx.Client) -> None:
    url, first = source(client, "pagerduty")
    own = "Qm1uYXNkZmdoamtscXdlcnR6dWlvcA"
    place = f"/v1/webhook-sources/{url.rsplit('/', 1)[1]}/secret"
    assert client.put(place, json={"secret": "short"}).status_code == 422
    assert client.put(place, json={"secret": own}).status_code == 204
    assert client.put("/v1/webhook-sources/src_0/secret", json={"secret": own}).status_code == 404

    body = encoded(payloads.pagerduty())
    assert client.post(url, content=body, headers=signed("pagerduty", first, body)).status_code == 401
    assert client.post(url, content=body, headers=signed("pagerduty", own, body)).status_code == 202


def test_sources_are_listed_without_secrets_and_take_nothing_once_removed(client: httpx.Client) -> None:
    url, secret = source(client, "alertmanager")
    source_id = url.rsplit("/", 1)[1]
    listed = client.get("/v1/webhook-sources")
    assert source_id in listed.text
    assert secret not in listed.text
    assert client.delete(f"/v1/webhook-sources/{source_id}").status_code == 204
    body = encoded(payloads.alertmanager())
    assert client.post(url, content=body, headers=signed("alertmanager", secret, body)).status_code == 401


def test_a_payload_that_is_none_of_its_kind_or_too_large_is_refused(client: httpx.Client) -> None:
    url, secret = source(client, "alertmanager")
    headers = {"Authorization": f"Bearer {secret}"}
    wrong = client.post(url, content=json.dumps({"alerts": 1}), headers=headers)
    assert wrong.status_code == 422
    assert {each["field"] for each in wrong.json()["errors"]} == {"groupKey", "alerts"}
    assert client.post(url, content=b"x" * 2_000_001, headers=headers).status_code == 413
