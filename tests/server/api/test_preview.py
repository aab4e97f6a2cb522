from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest

from tests.labels.preview.conftest import KINDS, text
from tests.parts import pipeline_without_model
from tests.server.api.secured import Secured, casebook_of, secured
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM

# Their triages are kept without vectors, and a busy machine takes its time to make them.
PATIENT = {"seconds": 30}
WRITE_UPS = (
    text(0, 100) + " A release had set the fuse of the breaker wrongly, and the release was rolled back.",
    "A breaker tripped in hall 7 after a release set its fuse wrongly, racks lost power, the release was rolled back.",
    text(0, 103),
)
GOLD = {"facet": "category", "labels": ["operational"], "annotator": "ada", "is_gold": True}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A shared history of three kinds, and two teams with three recent incidents each."""
    with secured(tmp_path_factory.mktemp("preview")) as service:
        with service.client("triage", "annotate") as everywhere:
            for n in range(30):
                body = {"id": f"h{n}", "write_up": text(n % 3, n), "team": SHARED_TEAM}
                assert everywhere.post("/v1/incidents", json=body).status_code == 202
                labels = [GOLD | {"facet": facet, "labels": ids} for facet, ids in KINDS[n % 3][1].items()]
                assert everywhere.post(f"/v1/incidents/shared:h{n}/annotations", json=labels).status_code == 201
        asyncio.run(_triage(service.database))
        yield service


async def _triage(database: str) -> None:
    """Triage incidents as another process on the same database would."""
    async with casebook_of(database) as (casebook, store):
        await casebook.indexer.mend()
        pipeline = pipeline_without_model(casebook)
        for team in ("payments", "search"):
            for n, write_up in enumerate(WRITE_UPS):
                incident = Incident(id=f"{team}:{n}", title=f"secretof{team}", write_up=write_up)
                await casebook.accept(incident, team)
                triage, _ = await pipeline.run(incident, teams={team, SHARED_TEAM})
                await store.triages.save(incident.id, triage)


@pytest.fixture
def payments(service: Secured) -> Iterator[httpx.Client]:
    with service.client("annotate", "read", teams=["payments"]) as client:
        yield client


def test_a_preview_tells_what_a_correction_would_change_and_keeps_nothing(payments: httpx.Client) -> None:
    asked = payments.post("/v1/incidents/payments:0/annotations/preview", json=GOLD, params=PATIENT)

    assert asked.status_code == 200, asked.text
    assert asked.headers["cache-control"] == "no-store"
    found = asked.json()
    assert (found["labels_before"], found["labels_after"]) == ({}, {"category": ["operational"]})
    assert (found["looked_at"], found["history"], found["not_compared"]) == (2, 31, [])
    assert found["incidents"][0]["incident_id"] == "payments:1"
    change = found["incidents"][0]["changes"][0]
    assert (change["facet"], change["after"][0]) == ("category", "operational")
    assert (change["likeliest_before"], change["likeliest_after"]) == ("infrastructure", "operational")
    assert payments.get("/v1/incidents/payments:0/annotations").json()["annotations"] == []


def test_a_key_sees_its_teams_incidents_alone(service: Secured, payments: httpx.Client) -> None:
    mine = payments.post("/v1/incidents/payments:0/annotations/preview", json=[GOLD])
    assert "secretofsearch" not in mine.text
    assert payments.post("/v1/incidents/search:0/annotations/preview", json=GOLD).status_code == 404
    changed = GOLD | {"facet": "mitigation", "labels": ["restart"]}
    with service.client("annotate") as everywhere:
        shared = everywhere.post("/v1/incidents/shared:h0/annotations/preview", json=changed, params=PATIENT)
        assert shared.json()["looked_at"] == 6


def test_how_many_and_since_when_can_be_said(payments: httpx.Client) -> None:
    place = "/v1/incidents/payments:0/annotations/preview"
    assert payments.post(place, json=GOLD, params=PATIENT | {"limit": 1}).json()["looked_at"] == 1
    assert payments.post(place, json=GOLD, params={"days": 1e-9}).json()["looked_at"] == 0
    assert payments.post(place, json=GOLD, params={"limit": 0}).status_code == 422
    assert payments.post(place, json=GOLD, params={"seconds": 31}).status_code == 422


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        (GOLD | {"labels": ["operatonal"]}, 422, "Did you mean: operational"),
        (GOLD | {"colour": "red"}, 422, "colour"),
        ([], 422, "Send 1 to 100 items"),
    ],
)
def test_what_annotations_refuse_the_preview_refuses(
    payments: httpx.Client, body: object, status: int, told: str
) -> None:
    refused = payments.post(
        "/v1/incidents/payments:0/annotations/preview",
        content=json.dumps(body),
        headers={"Content-Type": "application/json"},
    )

    assert refused.status_code == status
    assert told in refused.text


def test_who_may_only_read_may_not_preview(service: Secured) -> None:
    with service.client("read", teams=["payments"]) as client:
        assert client.post("/v1/incidents/payments:0/annotations/preview", json=GOLD).status_code == 403
