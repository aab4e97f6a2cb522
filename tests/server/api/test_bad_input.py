from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
OK = {"write_up": "The network failed."}


def check_problem(answer: httpx.Response, status: int, field: str | None = None) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert answer.status_code == status, problem
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["status"] == status
    assert {"type", "title", "detail", "instance"} <= problem.keys()
    assert "Traceback" not in answer.text
    if field is not None:
        assert field in [error["field"] for error in problem["errors"]], problem
        assert all(error["message"] for error in problem["errors"])
    return problem


def count(client: httpx.Client) -> int:
    return len(client.get("/v1/incidents", params={"limit": 200}).json()["incidents"])


@pytest.mark.parametrize(
    ("content", "headers", "status", "field"),
    [
        (b"", JSON, 422, "body"),
        (b"", TEXT, 422, "body"),
        (b"  \n", TEXT, 422, "body"),
        (b"-- ** --", TEXT, 422, "write_up"),
        (b"{", JSON, 422, "body"),
        (b"[]", JSON, 422, "body"),
        (b"null", JSON, 422, "body"),
        (b"[" * 50_000, JSON, 422, "body"),
        (b'{"write_up": "\xff\xfe"}', JSON, 422, "body"),
        (b"caf\xe9 network", TEXT, 422, "body"),
        (b"\x00\x01\x02 network", TEXT, 422, "write_up"),
        (b"\x89PNG\r\n\x1a\n\x00\x00", {"Content-Type": "image/png"}, 415, None),
        (b"\x89PNG\r\n\x1a\n\x00\x00", {"Content-Type": "text/plain"}, 422, "body"),
        (b'{"write_up": "x"}', {}, 415, None),
        (b'{"write_up": "x"}', {"Content-Type": "application/x-www-form-urlencoded"}, 415, None),
        ("schön".encode("latin-1"), {"Content-Type": "text/plain; charset=latin-1"}, 415, None),
    ],
)
def test_a_body_that_is_no_incident_is_refused(
    client: httpx.Client, content: bytes, headers: dict[str, str], status: int, field: str | None
) -> None:
    before = count(client)
    check_problem(client.post("/v1/incidents", content=content, headers=headers), status, field)
    assert count(client) == before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "write_up"),
        ({"write_up": ""}, "write_up"),
        ({"write_up": 5}, "write_up"),
        ({"write_up": None}, "write_up"),
        ({"write_up": ["x"]}, "write_up"),
        (OK | {"title": "x" * 501}, "title"),
        (OK | {"title": "\x00"}, "title"),
        (OK | {"service": "\x00"}, "service"),
        (OK | {"id": "no spaces"}, "id"),
        (OK | {"id": ""}, "id"),
        (OK | {"id": "a/../b"}, "id"),
        (OK | {"started_at": "yesterday"}, "started_at"),
        (OK | {"started_at": "2026-13-01T00:00:00Z"}, "started_at"),
        (OK | {"started_at": "2026-03-02T10:00Z", "detected_at": "2026-03-02T09:00Z"}, "detected_at"),
        (OK | {"taxonomy": "weather"}, "taxonomy"),
        (OK | {"taxonomy": "cloud_faults"}, "taxonomy"),
        (OK | {"severitty": "SEV-1"}, "severitty"),
        (OK | {"started_at": 1_700_000_000}, "started_at"),
        (OK | {"attributes": {"a": {"nested": 1}}}, None),
        (OK | {"attributes": {"a": "\x00"}}, "attributes"),
    ],
)
def test_a_wrong_field_is_named_and_nothing_is_stored(
    client: httpx.Client, body: dict[str, Any], field: str | None
) -> None:
    before = count(client)
    check_problem(client.post("/v1/incidents", json=body), 422, field)
    assert count(client) == before


def test_every_wrong_field_is_named_at_once(client: httpx.Client) -> None:
    body = {"write_up": 1, "title": 2, "severitty": 3}
    problem = check_problem(client.post("/v1/incidents", json=body), 422)
    assert {error["field"] for error in problem["errors"]} == {"write_up", "title", "severitty"}
    assert {error["pointer"] for error in problem["errors"]} == {"/write_up", "/title", "/severitty"}


def test_numbers_that_json_does_not_have_are_refused(client: httpx.Client) -> None:
    content = b'{"write_up": "The network failed.", "attributes": {"a": Infinity}}'
    check_problem(client.post("/v1/incidents", content=content, headers=JSON), 422)


def test_a_number_that_can_not_be_kept_is_refused(client: httpx.Client) -> None:
    content = f"---\nattributes: {{a: 0x{'f' * 9_000}}}\n---\nThe network failed."
    answer = client.post("/v1/incidents", content=content, headers={"Content-Type": "text/markdown"})
    check_problem(answer, 422, "attributes")


@pytest.mark.parametrize("headers", [JSON, TEXT])
def test_a_body_of_five_megabytes_is_refused_and_the_client_hears_it(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    content = json.dumps({"write_up": "network " * 650_000}).encode()
    problem = check_problem(client.post("/v1/incidents", content=content, headers=headers), 413)
    assert problem["limit_bytes"] > 0


def test_a_write_up_above_the_limit_is_refused_also_where_the_body_would_fit(client: httpx.Client) -> None:
    check_problem(client.post("/v1/incidents", json={"write_up": "network " * 15_000}), 413, "write_up")


def test_a_body_without_a_length_is_bounded_too(client: httpx.Client) -> None:
    def endless() -> Any:
        for _ in range(100):
            yield b"network " * 8_000

    check_problem(client.post("/v1/incidents", content=endless(), headers=TEXT), 413)


def test_a_client_that_asks_before_it_sends_is_refused_before_it_sends(client: httpx.Client) -> None:
    url = client.base_url
    with socket.create_connection((url.host, url.port or 80), timeout=10) as connection:
        connection.sendall(
            b"POST /v1/incidents HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\n"
            b"Content-Length: 5000000\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "facet"),
        ({"facet": "detection", "labels": [], "annotator": "ada"}, "labels"),
        ({"facet": "category", "labels": "infrastructure", "annotator": "ada"}, "labels"),
        ({"facet": "category", "labels": ["infrastructure"]}, "annotator"),
        ({"facet": "category", "labels": ["weather"], "annotator": "ada"}, "labels"),
        ({"facet": "weather", "labels": ["infrastructure"], "annotator": "ada"}, "facet"),
        ({"facet": "category", "labels": ["infrastructure"], "annotator": "ada", "origin": "model"}, "origin"),
        ({"facet": "category", "labels": ["infrastructure"], "annotator": "model:x"}, "annotator"),
        ({"facet": "category", "labels": ["infrastructure"], "annotator": "ada", "is_gold": "yes"}, "is_gold"),
        ({"facet": "detection", "labels": ["automated", "customer_reported"], "annotator": "ada"}, "labels"),
        ([], "body"),
        ([{"facet": "category"}], "0.labels"),
    ],
)
def test_a_wrong_annotation_is_refused(client: httpx.Client, body: Any, field: str) -> None:
    client.post("/v1/incidents", json=OK | {"id": "annotated"})
    check_problem(client.post("/v1/incidents/annotated/annotations", json=body), 422, field)
    assert client.get("/v1/incidents/annotated/annotations").json()["annotations"] == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": ""}, "text"),
        ({"text": "..."}, "text"),
        ({"text": "x", "k": 0}, "k"),
        ({"text": "x", "k": "5"}, "k"),
        ({"text": "x", "n": 1}, "n"),
    ],
)
def test_a_wrong_search_is_refused(client: httpx.Client, body: dict[str, Any], field: str) -> None:
    check_problem(client.post("/v1/search", json=body), 422, field)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("DELETE", "/v1/incidents", 405), ("GET", "/v1/taxonomies/weather", 404)],
)
def test_what_the_api_does_not_have_is_a_problem_document_too(
    client: httpx.Client, method: str, path: str, status: int
) -> None:
    answer = client.request(method, path)
    check_problem(answer, status)
    assert status != 405 or answer.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/incidents/a%00b", "incident_id"),
        ("/v1/incidents/a%20b/annotations", "incident_id"),
        ("/v1/annotators/a%00b/next", "annotator"),
        ("/v1/disagreements?annotator=a%00b", "annotator"),
    ],
)
def test_a_place_that_no_id_can_have_is_named(client: httpx.Client, path: str, field: str) -> None:
    check_problem(client.get(path), 422, field)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), kind=st.sampled_from(["application/json", "text/plain", "text/markdown"]))
def test_whatever_is_sent_the_service_answers_with_a_status_below_500(
    client: httpx.Client, content: bytes, kind: str
) -> None:
    answer = client.post("/v1/incidents", content=content, headers={"Content-Type": kind})
    assert answer.status_code < 500
    if answer.status_code >= 400:
        check_problem(answer, answer.status_code)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"])
def test_a_moment_that_is_none_in_utc_is_refused(client: httpx.Client, moment: str) -> None:
    for answer in (
        client.get("/v1/incidents", params={"since": moment}),
        client.get("/v1/study", params={"observed_until": moment}),
        client.post("/v1/incidents", json={"write_up": "It failed.", "started_at": moment}),
        client.post("/v1/search", json={"text": "It failed.", "as_of": moment}),
    ):
        check_problem(answer, 422)
        assert "UTC" in answer.text


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_FIELDS = st.sampled_from(["title", "id", "service", "started_at", "detected_at", "attributes", "taxonomy", "url"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(_FIELDS, _VALUES, max_size=4), write_up=st.text(max_size=40))
def test_whatever_the_fields_hold_an_accepted_incident_can_be_read_again(
    client: httpx.Client, fields: dict[str, Any], write_up: str
) -> None:
    answer = client.post("/v1/incidents", content=json.dumps({"write_up": write_up} | fields), headers=JSON)
    assert answer.status_code < 500
    if answer.status_code == 202:
        read = client.get(answer.headers["location"])
        assert read.status_code == 200
        assert read.json()["incident"]["write_up"] == write_up
