from __future__ import annotations

import asyncio
import json
import uuid
from typing import Any

import httpx
import pytest

from tests.parts import KeywordPipeline
from triage.client import Client
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import Store


@pytest.fixture
def name() -> str:
    return f"s-{uuid.uuid4().hex[:12]}"


def follow(client: httpx.Client, name: str, headers: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """The events of a stream, up to its end."""
    events = []
    with client.stream("GET", f"/v1/incidents/{name}/events", headers=headers) as stream:
        assert stream.status_code == 200
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert stream.headers["x-accel-buffering"] == "no"
        event: dict[str, Any] = {}
        for line in stream.iter_lines():
            field, _, value = line.partition(": ")
            if line:
                event[field] = json.loads(value) if field == "data" else value
            elif "event" in event:
                events.append(event)
                event = {}
    return events


def test_the_way_to_the_triage_is_told_step_by_step(client: httpx.Client, name: str) -> None:
    client.post("/v1/incidents", json={"id": name, "write_up": "It went slowly."})
    events = follow(client, name)

    *way, last = events
    assert last["event"] == "triage"
    (provisional,) = [each for each in way if each["event"] == "provisional"]
    assert provisional["data"]["is_provisional"]
    assert provisional["data"]["facets"] == last["data"]["facets"]
    way.remove(provisional)
    assert {each["event"] for each in way} == {"status"}
    # Which steps are seen depends on when it is looked: each at most once, in their order.
    seen = [each["data"]["phase"] for each in way]
    assert seen == [phase for phase in ("queued", "running", "classify") if phase in seen]
    assert {each["data"]["status"] for each in way} == {"pending"}
    assert events[-1]["data"] == client.get(f"/v1/incidents/{name}/triage").json()
    assert len({each["id"] for each in events}) == len(events)


def test_a_provisional_triage_comes_once_a_connection(client: httpx.Client, name: str) -> None:
    client.post("/v1/incidents", json={"id": name, "write_up": "It went slowly."})
    with Client(str(client.base_url)) as reader:
        events = reader.events(name)
        provisional = next(each for each in events if each.name == "provisional")
        assert provisional.triage is not None
        assert provisional.triage.is_provisional
        assert not provisional.is_last
        again = follow(client, name, {"Last-Event-ID": provisional.id})
        *_, last = events

    assert "provisional" not in [each["event"] for each in again]
    assert (last.name, last.triage and last.triage.is_provisional) == ("triage", False)


def test_a_stream_goes_on_where_it_broke_off_and_ends_for_good(client: httpx.Client, name: str) -> None:
    client.post("/v1/incidents", json={"id": name, "write_up": "It failed."}, headers={"Prefer": "wait=15"})
    (last,) = follow(client, name, {"Last-Event-ID": "0.classify"})
    assert last["event"] == "triage"

    again = client.get(f"/v1/incidents/{name}/events", headers={"Last-Event-ID": last["id"]})
    assert (again.status_code, again.content) == (204, b"")


def test_a_failure_for_good_ends_the_stream_with_its_reason(
    client: httpx.Client, pipeline: KeywordPipeline, name: str
) -> None:
    pipeline.failures = 1
    client.post("/v1/incidents", json={"id": name, "write_up": f"Words of {name} that trip the pipeline."})
    last = follow(client, name)[-1]

    assert last["event"] == "failed"
    assert "(RuntimeError)" in last["data"]["detail"]


@pytest.mark.parametrize("mark", ["\u2028", "\u2029", "\x85", "\r", "\r\n", "\n", "\x0b", "\x1c"])
def test_no_text_within_an_event_breaks_it(client: httpx.Client, database: str, name: str, mark: str) -> None:
    unsure = FacetResult(facet="category", labels=(), abstention=f"Not{mark}sure.")
    provenance = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0")
    triage = Triage(incident_id=name, facets={"category": unsure}, provenance=provenance)

    async def save() -> None:
        store = Store(database)
        await store.incidents.add(Incident(id=name, write_up="It failed."), "llm_inference")
        await store.triages.save(name, triage)
        await store.close()

    asyncio.run(save())
    (last,) = follow(client, name)
    assert last["data"]["facets"]["category"]["abstention"] == f"Not{mark}sure."
    content = client.get(f"/v1/incidents/{name}/events").content.decode()
    assert content.count("\ndata: ") == 1
    with Client(str(client.base_url)) as reader:
        (event,) = reader.events(name)
    assert event.data == last["data"]


def test_there_is_no_stream_of_what_is_not_there(client: httpx.Client) -> None:
    assert client.get("/v1/incidents/nobody/events").status_code == 404
