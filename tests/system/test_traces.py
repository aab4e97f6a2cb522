"""One trace from a request to the calls of the model, over the real service and a model behind a real socket."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from tests.fake_openai import Answer, Chosen, FakeOpenAI, Status
from triage.app.serving import open_app
from triage.app.settings import Settings
from triage.observability import spans
from triage.server.jobs import workflows

MARKERS = ("zanzibar", "quokka")
WRITE_UP = "# Zanzibar completions fail\n\nThe quokka cluster ran out of connections. We restarted the zanzibar pods."
TRACE_ID, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        server.words = "ran out of connections"
        yield server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory, fake: FakeOpenAI) -> Iterator[httpx.Client]:
    """The whole service on an event loop of its own, as `triage serve` puts it together."""
    settings = Settings(
        _env_file=None,  # type: ignore[call-arg]
        data_dir=tmp_path_factory.mktemp("traced"),
        model="any-model",
        base_url=fake.base_url,
        api_key="key",
        embedding_model="any-embedder",
        shipped_history=False,
    )

    stop, ready, place = threading.Event(), threading.Event(), list[str]()

    async def serve() -> None:
        async with open_app(settings) as service:
            server = uvicorn.Server(uvicorn.Config(service, port=0, log_config=None, timeout_keep_alive=75))
            task = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 - uvicorn tells it in no other way
                await asyncio.sleep(0.01)
            place.append(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}")
            ready.set()
            await asyncio.to_thread(stop.wait)
            server.should_exit = True
            await task

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(60)
    with httpx.Client(base_url=place[0], timeout=60) as client:
        yield client
    stop.set()
    thread.join(20)


@pytest.fixture
def exporter(request: pytest.FixtureRequest) -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.switch_on(provider, keeps_content=getattr(request, "param", False))
    yield exporter
    spans.switch_off()


def triaged(client: httpx.Client, exporter: InMemorySpanExporter, key: str) -> dict[str, ReadableSpan]:
    """The spans of one triage, by name; of several with one name the last."""
    headers = {
        "Content-Type": "text/markdown",
        "Idempotency-Key": key,
        "Prefer": "wait=30",
        "traceparent": f"00-{TRACE_ID}-{CALLER}-01",
        "X-Request-Id": key,
    }
    assert client.post("/v1/incidents", content=WRITE_UP, headers=headers).status_code == 200
    return ended(exporter, "triage_incident", "POST /v1/incidents")


def ended(exporter: InMemorySpanExporter, *names: str) -> dict[str, ReadableSpan]:
    """The spans so far by name, with those of `names`: an answer may arrive before its span has ended."""
    deadline = time.monotonic() + 30
    while not set(names) <= set(found := {span.name: span for span in exporter.get_finished_spans()}):
        assert time.monotonic() < deadline, f"of {names} there are {sorted(found)}"
        time.sleep(0.02)
    return found


def parent(span: ReadableSpan, found: dict[str, ReadableSpan]) -> str | None:
    return next((n for n, s in found.items() if span.parent and s.context.span_id == span.parent.span_id), None)


def test_the_spans_of_an_incident_are_one_tree(client: httpx.Client, exporter: InMemorySpanExporter) -> None:
    found = triaged(client, exporter, "tree-1")
    searches = [name for name in found if name.startswith(("query ", "get "))]

    assert {span.context.trace_id for span in found.values()} == {int(TRACE_ID, 16)}
    request = found["POST /v1/incidents"]
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == CALLER
    assert {name: parent(span, found) for name, span in found.items() if name != "POST /v1/incidents"} == {
        "triage_incident": "POST /v1/incidents",
        **dict.fromkeys(
            ("redact", "withhold", "retrieve", "learn", "decide", "classify", "contrast", "suggest"), "triage_incident"
        ),
        **dict.fromkeys(searches, "retrieve"),
        "embeddings any-embedder": parent(found["embeddings any-embedder"], found),
        "chat any-model": "classify",
        "provisional": "decide",
    }
    assert len(searches) == 2
    assert parent(found["embeddings any-embedder"], found) in ("retrieve", "learn", "contrast")


def test_spans_are_named_as_the_conventions_name_their_parts(
    client: httpx.Client, exporter: InMemorySpanExporter, fake: FakeOpenAI
) -> None:
    found = triaged(client, exporter, "named-1")
    port = int(fake.base_url.split(":")[2].split("/")[0])
    chat = dict(found["chat any-model"].attributes or {})
    request = dict(found["POST /v1/incidents"].attributes or {})
    query = dict(next(span for name, span in found.items() if name.startswith("query ")).attributes or {})

    assert chat.pop("gen_ai.usage.input_tokens") > 100  # type: ignore[operator]
    assert chat.pop("gen_ai.usage.output_tokens") > 1  # type: ignore[operator]
    assert chat.pop("gen_ai.request.max_tokens") > 1  # type: ignore[operator]
    assert chat == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "any-model",
        "gen_ai.request.temperature": 0.0,
        "gen_ai.output.type": "json",
        "gen_ai.response.model": "any-model",
        "gen_ai.response.finish_reasons": ("stop",),
        "server.address": "127.0.0.1",
        "server.port": port,
        "triage.retries": 0,
    }
    assert request["http.request.method"] == "POST"
    assert request["http.route"] == "/v1/incidents"
    assert request["http.response.status_code"] == 200
    assert request["triage.request_id"] == "named-1"
    assert query["gen_ai.operation.name"] == "retrieval"
    assert query["db.system.name"] == "chroma"
    assert query["db.response.returned_rows"] == 0
    assert (found["triage_incident"].attributes or {})["triage.incident_id"] == "named-1"


def test_failed_tries_are_events_and_a_failed_call_names_its_kind(
    client: httpx.Client, exporter: InMemorySpanExporter, fake: FakeOpenAI
) -> None:
    soon = {"retry-after-ms": "1"}
    answers = iter((Status(500, headers=soon), Status(429, headers=soon), Answer()))
    fake.otherwise = Chosen(lambda _: next(answers))
    retried = triaged(client, exporter, "tries-1")["chat any-model"]
    exporter.clear()
    fake.otherwise = Status(401)
    found = triaged(client, exporter, "tries-2")
    fake.otherwise = Answer()

    told = [(event.name, dict(event.attributes or {})["error.type"]) for event in retried.events]
    assert told == [("triage.try_failed", "500"), ("triage.try_failed", "429")]
    assert (retried.attributes or {})["triage.retries"] == 2
    assert (found["chat any-model"].attributes or {})["error.type"] == "ModelUnavailable"
    assert found["chat any-model"].status.status_code is StatusCode.ERROR
    assert found["chat any-model"].status.description is None
    assert found["triage_incident"].status.status_code is StatusCode.UNSET


def test_no_span_holds_a_word_of_the_write_up(
    client: httpx.Client, exporter: InMemorySpanExporter, fake: FakeOpenAI
) -> None:
    fake.script(Status(500, message="could not parse: zanzibar quokka", headers={"retry-after-ms": "1"}))
    triaged(client, exporter, "silent-1")
    client.get("/v1/incidents/silent-1?zanzibar=quokka")
    client.post("/v1/search", json={"text": "zanzibar quokka"})
    ended(exporter, "GET /v1/incidents/{incident_id}", "POST /v1/search")
    told = "".join(span.to_json() for span in exporter.get_finished_spans()).casefold()

    assert [marker for marker in MARKERS if marker in told] == []


@pytest.mark.parametrize("exporter", [True], indirect=True)
def test_content_is_there_for_whoever_asked_for_it(client: httpx.Client, exporter: InMemorySpanExporter) -> None:
    chat = triaged(client, exporter, "content-1")["chat any-model"].attributes or {}
    asked = json.loads(str(chat["gen_ai.input.messages"]))
    [answered] = json.loads(str(chat["gen_ai.output.messages"]))

    assert asked[0]["role"] == "system"
    assert "quokka" in asked[-1]["parts"][0]["content"]
    assert answered["role"] == "assistant"
    assert answered["finish_reason"] == "stop"
    assert "ran out of connections" in answered["parts"][0]["content"]


def test_a_job_keeps_the_trace_that_it_belongs_to_for_whichever_process_does_it(
    client: httpx.Client, exporter: InMemorySpanExporter
) -> None:
    triaged(client, exporter, "across-1")

    assert asyncio.run(workflows.carrier("across-1"))["traceparent"].split("-")[1] == TRACE_ID
    assert asyncio.run(workflows.carrier("no-such-job")) == {}
