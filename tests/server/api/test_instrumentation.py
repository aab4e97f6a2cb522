"""Requests seen from outside: ids, the access log and metrics, over a socket."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.parts import KeywordPipeline
from triage.observability import logs

WRITE_UP = "A network switch failed and zanzibar requests were lost."


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Iterator[list[dict[str, object]]]:
    """What the service logs, as JSON would have it."""
    told: list[dict[str, object]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            told.append(json.loads(logs.JsonFormatter().format(record)))

    handler, root = Keep(), logging.getLogger()
    root.addHandler(handler)
    with caplog.at_level(logging.DEBUG, "triage"):
        yield told
    root.removeHandler(handler)


def logged(lines: list[dict[str, object]], **wanted: object) -> dict[str, object]:
    """The first line with these values; a request is logged when its answer is out already."""
    deadline = time.monotonic() + 30
    while True:
        for line in list(lines):
            if line | wanted == line:
                return line
        assert time.monotonic() < deadline, wanted
        time.sleep(0.02)


def samples(client: httpx.Client) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in families for s in family.samples}


def test_a_callers_id_comes_back_and_another_one_is_made_up(client: httpx.Client) -> None:
    named = client.get("/healthz", headers={"X-Request-Id": "run-7"})
    odd = client.get("/healthz", headers={"X-Request-Id": "a b" * 40})
    unnamed = client.get("/healthz")

    assert named.headers["x-request-id"] == "run-7"
    assert len(odd.headers["x-request-id"]) == 32
    assert unnamed.headers["x-request-id"] not in ("", odd.headers["x-request-id"])


@pytest.mark.parametrize(("path", "status"), [("/v1/incidents/none-such", 404), ("/nowhere", 404), ("/v1/search", 405)])
def test_a_problem_names_its_request(client: httpx.Client, path: str, status: int) -> None:
    answered = client.get(path, headers={"X-Request-Id": "run-8"})

    assert answered.status_code == status
    assert answered.json()["request_id"] == answered.headers["x-request-id"] == "run-8"


def test_an_error_that_nobody_expected_names_its_request_too(
    client: httpx.Client, monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, object]]
) -> None:
    # A defect, made: the store's own method raises what nobody catches.
    from triage.store.incidents import Incidents

    async def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Incidents, "list", broken)
    # On a connection of its own: the server ends it after such an error.
    answered = httpx.get(client.base_url.join("/v1/incidents"), headers={"X-Request-Id": "run-9"})

    assert answered.status_code == 500
    assert answered.json()["request_id"] == answered.headers["x-request-id"] == "run-9"
    assert logged(lines, request_id="run-9", status=500)


def test_each_request_is_a_line_without_what_was_posted(
    client: httpx.Client, pipeline: KeywordPipeline, lines: list[dict[str, object]]
) -> None:
    pipeline.failures = 1
    good = {"id": "told-1", "write_up": WRITE_UP, "title": "Zanzibar lost"}
    bad = {"id": "told-2", "write_up": f"{WRITE_UP} Now trip the pipeline.", "severity": 17}
    tripping = {"id": "told-3", "write_up": f"{WRITE_UP} Now trip the pipeline."}
    for body in (good, bad, tripping):
        client.post("/v1/incidents", json=body, headers={"Prefer": "wait=20", "X-Request-Id": f"for-{body['id']}"})
    client.get("/v1/incidents/told-1/triage?zanzibar=1")

    posted = logged(lines, request_id="for-told-1", logger=logs.ACCESS)
    assert posted | {"time": "", "ms": 0} == {
        "time": "",
        "level": "info",
        "logger": logs.ACCESS,
        "message": "POST /v1/incidents 200",
        "request_id": "for-told-1",
        "method": "POST",
        "route": "/v1/incidents",
        "status": 200,
        "ms": 0,
    }
    assert logged(lines, route="/v1/incidents/{incident_id}/triage")
    assert any(line.get("incident_id") == "told-3" and line["level"] in ("warning", "error") for line in lines)
    assert "zanzibar" not in json.dumps(lines).casefold()


def test_requests_and_triages_are_counted(client: httpx.Client, pipeline: KeywordPipeline) -> None:
    before = samples(client)
    pipeline.failures = 1
    for key in ("counted-1", "counted-2", "counted-1"):
        client.post("/v1/incidents", json={"id": key, "write_up": WRITE_UP}, headers={"Prefer": "wait=20"})
    body = {"id": "counted-3", "write_up": "Now trip the pipeline."}
    client.post("/v1/incidents", json=body, headers={"Prefer": "wait=20"})
    client.request("PROPFIND", "/v1/incidents")
    after = samples(client)

    def more(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after.get(key, 0) - before.get(key, 0)

    assert more("triage_http_requests_total", method="POST", route="/v1/incidents", status="200") == 3
    assert more("triage_http_request_seconds_count", method="POST", route="/v1/incidents") == 4
    assert more("triage_incidents_accepted_total") == 3
    assert more("triage_triages_total", outcome="ok") == 2
    assert more("triage_triages_total", outcome="failed") == 1
    assert more("triage_duration_seconds_count") == 2
    assert any(name == "triage_http_requests_total" and ("method", "_OTHER") in labels for name, labels in after)
    assert after["triage_info", (("role", "api"), ("version", client.get("/healthz").json()["version"]))] == 1
    assert after["process_resident_memory_bytes", ()] > 1e6
    assert not any("counted-1" in value for _, labels in after for _, value in labels)
