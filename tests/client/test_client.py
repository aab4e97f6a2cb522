from __future__ import annotations

import inspect
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Response

from tests.parts import KeywordPipeline, served
from tests.server.api.conftest import client as service
from tests.server.api.conftest import database, folder, pipeline
from triage.client import (
    AsyncClient,
    Busy,
    Client,
    Conflict,
    Invalid,
    NotFinished,
    NotFound,
    Outdated,
    TriageFailed,
    Unreachable,
)
from triage.client.waiting import Patience
from triage.domain.incident import Incident

__all__ = ["database", "folder", "pipeline", "service"]

LABEL = {"facet": "category", "labels": ["infrastructure"], "annotator": "ada", "is_gold": True}


@pytest.fixture(scope="module")
def client(service: httpx.Client) -> Iterator[Client]:
    with Client(str(service.base_url)) as client:
        yield client


@pytest.fixture
async def aclient(service: httpx.Client) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(str(service.base_url)) as client:
        yield client


@pytest.fixture
def name() -> str:
    return f"c-{uuid.uuid4().hex[:12]}"


def test_a_text_an_incident_and_a_mapping_are_triaged(client: Client, name: str) -> None:
    text = f"A switch of {name} failed."
    assert client.triage(text).facets["category"].labels == ("infrastructure",)
    assert client.triage(Incident(id=name, write_up=text)).incident_id == name
    assert client.triage({"write_up": text}, key=f"{name}-key").incident_id == f"{name}-key"
    assert client.incident(name).incident == Incident(id=name, write_up=text)
    assert client.result(name) == client.triage(Incident(id=name, write_up=text))


def test_what_is_refused_says_why(client: Client, pipeline: KeywordPipeline, name: str) -> None:
    with pytest.raises(Invalid, match="422") as invalid:
        client.post({"id": name, "write_up": "x", "severitty": 1})
    assert (invalid.value.kind, invalid.value.errors[0]["field"]) == ("invalid_fields", "severitty")

    client.post({"id": name, "write_up": "It went slowly."})
    with pytest.raises(NotFinished):
        client.result(name)
    with pytest.raises(Conflict) as conflict:
        client.post({"id": name, "write_up": "Something else."})
    assert conflict.value.data["fields"] == ["write_up"]
    with pytest.raises(NotFound):
        client.incident("nobody")
    pipeline.failures = 1
    with pytest.raises(TriageFailed, match="RuntimeError"):
        client.triage(f"Words of {name} that trip the pipeline.")


def test_labels_searches_and_what_the_service_knows(client: Client, name: str) -> None:
    client.triage({"id": name, "write_up": f"Odd words: {name} zyzzyva switch."})
    foreseen = client.preview(name, [LABEL], days=1, limit=5)
    assert (foreseen.labels_before, foreseen.labels_after) == ({}, {"category": ("infrastructure",)})
    assert client.annotations(name) == []
    (kept,) = client.annotate(name, [LABEL])
    assert (kept.labels, kept.origin) == (("infrastructure",), "human")
    assert client.annotations(name) == [kept]
    assert "Confirmed by ada" in client.summary(name)
    with pytest.raises(Outdated):
        client.annotate(name, [LABEL], if_match='"0-0"')
    assert client.search(f"Odd words: {name} zyzzyva switch.", 1)[0].incident_id == name
    assert {each.id for each in client.taxonomies() if each.is_in_use} == {"llm_inference"}
    assert "category" in [facet.id for facet in client.taxonomy("llm_inference").facets]
    assert client.agreement()["facets"]
    assert client.health().is_ready
    assert not client.health().checks["model"].is_ok


def test_a_batch_is_listed_and_followed(client: Client, name: str) -> None:
    batch = client.batch({"id": f"{name}-{n}", "write_up": f"{name} {n}", "service": name} for n in range(7))
    assert (batch.accepted, batch.failed) == (7, 0)

    done, cursor, end = [], batch.cursor, time.monotonic() + 20
    while len(done) < 7 and time.monotonic() < end:
        page = client.finished(cursor, limit=3, documents=True)
        done += [each.incident_id for each in page.triages if each.triage and each.incident_id.startswith(name)]
        cursor = page.next_cursor
    listed = [each.id for each in client.incidents(service=name, page_size=3)]

    assert sorted(done) == sorted(listed) == [f"{name}-{n}" for n in range(7)]


def test_an_incident_is_followed_to_its_triage(client: Client, name: str) -> None:
    client.post({"id": name, "write_up": "It went slowly."})
    events = list(client.events(name))
    assert events[-2].data["phase"] == "classify"
    assert events[-1].triage == client.result(name)
    with pytest.raises(NotFound):
        next(client.events("nobody"))


def test_what_is_deleted_is_gone(service: httpx.Client, client: Client, name: str) -> None:
    if "delete" not in service.get("/openapi.json").json()["paths"]["/v1/incidents/{incident_id}"]:
        pytest.skip("this service deletes nothing")
    client.triage({"id": name, "write_up": f"A switch of {name} failed."})
    client.delete(name)
    with pytest.raises(NotFound):
        client.incident(name)


async def test_the_async_client_does_the_same(aclient: AsyncClient, name: str) -> None:
    triage = await aclient.triage({"id": name, "write_up": f"A switch of {name} failed.", "service": name})
    assert triage.facets["category"].labels == ("infrastructure",)
    assert (await aclient.annotate(name, [LABEL]))[0].annotator == "ada"
    assert [each.id async for each in aclient.incidents(service=name)] == [name]
    assert [event.name async for event in aclient.events(name)] == ["triage"]
    assert (await aclient.batch([{"id": name, "write_up": "else"}])).items[0].status == "conflict"
    assert (await aclient.finished(limit=1)).triages
    assert (await aclient.health()).is_ready
    with pytest.raises(NotFound):
        await aclient.incident("nobody")


def flaky(answers: list[tuple[int, dict[str, str]]], seen: list[dict[str, Any]]) -> FastAPI:
    """A service that gives these answers one after another."""
    app = FastAPI()

    @app.get("/v1/taxonomies")
    def taxonomies() -> Response:
        seen.append({"at": time.monotonic()})
        status, headers = answers.pop(0)
        return Response('{"taxonomies": []}' if status == 200 else "<html>", status, headers)

    return app


@pytest.mark.parametrize("call", [lambda url: Client(url, patience=Patience(tries=3)).taxonomies()])
def test_a_busy_service_is_asked_again_when_it_says(call: Callable[[str], Any]) -> None:
    seen: list[dict[str, Any]] = []
    answers = [(429, {"Retry-After": "1"}), (503, {}), (200, {})]
    with served(flaky(answers, seen)) as url:
        assert call(url) == []
    assert len(seen) == 3
    assert seen[1]["at"] - seen[0]["at"] >= 1


async def test_patience_ends(service: httpx.Client) -> None:
    seen: list[dict[str, Any]] = []
    with served(flaky([(503, {"Retry-After": "0"})] * 3, seen)) as url:
        async with AsyncClient(url, patience=Patience(tries=2)) as client:
            with pytest.raises(Busy, match="503"):
                await client.taxonomies()
            # A wait that would end after all patience is not begun.
        async with AsyncClient(url, patience=Patience(seconds=0.0)) as client:
            with pytest.raises(Busy):
                await client.taxonomies()
    assert len(seen) == 3
    with pytest.raises(Unreachable), Client("http://127.0.0.1:1", patience=Patience(tries=2)) as client:
        client.health()


def test_the_key_is_sent() -> None:
    app = FastAPI()

    @app.get("/v1/agreement")
    def agreement() -> dict[str, str]:
        return {}

    seen: list[str] = []

    @app.middleware("http")
    async def note(request: Any, call_next: Any) -> Any:
        seen.append(request.headers["authorization"])
        return await call_next(request)

    with served(app) as url, Client(url, "triage_secret") as client:
        client.agreement()
    assert seen == ["Bearer triage_secret"]


def test_both_clients_have_the_same_documented_methods() -> None:
    names = {name for name in vars(Client) if not name.startswith("_")} - {"close"}
    assert names == {name for name in vars(AsyncClient) if not name.startswith("_")} - {"aclose"}
    for name in names:
        blocking, waiting = getattr(Client, name), getattr(AsyncClient, name)
        assert inspect.signature(blocking).parameters == inspect.signature(waiting).parameters
        assert blocking.__doc__
        assert blocking.__doc__ == waiting.__doc__
    assert str(inspect.signature(Client.search)).startswith("(self, /, text: 'str', k: 'int' = 5")


def test_the_client_is_light() -> None:
    heavy = "fastapi", "chromadb", "sqlalchemy", "openai", "numpy", "dbos", "langchain_core"
    code = f"import sys, triage.client; print([name for name in {heavy!r} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
