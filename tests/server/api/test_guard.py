from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import Request

from tests.server.api.secured import Secured, secured
from triage.server.api.authentication import AccessOptions
from triage.server.api.guard import Guard, GuardOptions

OPEN = AccessOptions(is_on=False)
LIMIT_S = 1.0
BODY = {"write_up": "The network failed."}


@pytest.fixture(scope="module")
def loopback(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A service without keys, as `triage serve` starts it on this machine."""
    guard = GuardOptions(frozenset({"127.0.0.1"}), request_limit_s=LIMIT_S, cors_origins=("https://wiki.example",))
    with secured(tmp_path_factory.mktemp("loopback"), OPEN, guard_options=guard) as service:
        yield service


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("127.0.0.1:8350", 200),
        ("localhost:8350", 200),
        ("LOCALHOST", 200),
        ("[::1]:8350", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example:8350", 421),
        ("192.168.0.7", 421),
        ("[", 421),
        ("", 421),
    ],
)
def test_without_keys_only_names_of_this_machine_are_answered(loopback: Secured, host: str, status: int) -> None:
    asked = httpx.get(f"{loopback.base_url}/v1/incidents", headers={"Host": host})
    assert asked.status_code == status
    if status != 200:
        assert asked.headers["content-type"] == "application/problem+json"
        assert "TRIAGE_AUTH=on" in asked.json()["detail"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 202),
        ({"Origin": "SAME"}, 202),
        ({"Origin": "https://wiki.example"}, 202),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Origin": "http://localhost"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 202),
    ],
)
def test_without_keys_pages_of_other_websites_change_nothing(
    loopback: Secured, headers: dict[str, str], status: int
) -> None:
    sent = {name: loopback.base_url if value == "SAME" else value for name, value in headers.items()}
    posted = httpx.post(f"{loopback.base_url}/v1/incidents", json=BODY, headers=sent)
    assert posted.status_code == status


def test_other_websites_read_nothing_unless_they_are_named(loopback: Secured) -> None:
    asked = {
        origin: httpx.options(
            f"{loopback.base_url}/v1/incidents",
            headers={"Origin": origin, "Access-Control-Request-Method": "GET"},
        )
        for origin in ("https://wiki.example", "https://evil.example")
    }
    assert asked["https://wiki.example"].headers["access-control-allow-origin"] == "https://wiki.example"
    assert "access-control-allow-origin" not in asked["https://evil.example"].headers
    assert "access-control-allow-credentials" not in asked["https://wiki.example"].headers
    read = httpx.get(f"{loopback.base_url}/v1/incidents", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in read.headers


@pytest.mark.parametrize(
    "path", ["/v1/incidents", "/v1/incidents/nobody", "/nothing", "/readyz", "/v1/search", "/docs"]
)
def test_every_answer_has_the_headers_that_browsers_heed(loopback: Secured, path: str) -> None:
    headers = httpx.get(loopback.base_url + path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    assert "strict-transport-security" not in headers
    assert "server" not in headers or "uvicorn" in headers["server"]


async def test_https_is_kept_to_and_a_defect_has_the_headers_too() -> None:
    app = FastAPI()
    app.add_api_route("/defect", lambda: 1 / 0)
    transport = httpx.ASGITransport(Guard(app.build_middleware_stack(), GuardOptions()), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="https://triage.example") as client:
        failed = await client.get("/defect")
    assert failed.status_code == 500
    assert failed.headers["strict-transport-security"] == "max-age=31536000"
    assert failed.headers["x-content-type-options"] == "nosniff"


def test_the_page_of_the_api_asks_nothing_of_any_other_place(loopback: Secured) -> None:
    page = httpx.get(f"{loopback.base_url}/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in httpx.get(f"{loopback.base_url}/openapi.json").json()["paths"]:
        assert path in page.text
    assert re.findall(r'(?:src|href)="([^"]*)"', page.text) == ["/openapi.json"]
    assert "<script" not in page.text
    assert "url(" not in page.text
    assert "unsafe" not in page.headers["content-security-policy"]


def connect(service: Secured) -> socket.socket:
    place = urlsplit(service.base_url)
    return socket.create_connection((place.hostname or "", place.port or 80), timeout=10)


def test_a_body_that_comes_too_slowly_is_given_up(loopback: Secured) -> None:
    with connect(loopback) as connection:
        connection.sendall(
            b"POST /v1/incidents HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            b"Content-Type: text/plain\r\nContent-Length: 1000\r\n\r\n"
        )
        began, received = time.monotonic(), b""
        connection.settimeout(0.2)
        while not received and time.monotonic() - began < 5 * LIMIT_S:
            try:
                connection.sendall(b"x")
                received = connection.recv(4096)
            except TimeoutError:
                continue
        assert received.startswith(b"HTTP/1.1 408")
        assert time.monotonic() - began < 3 * LIMIT_S
        assert b"connection: close" in received.lower()


def test_an_answer_may_take_longer_than_a_body(loopback: Secured) -> None:
    posted = httpx.post(
        f"{loopback.base_url}/v1/incidents", json=BODY, headers={"Prefer": f"wait={2 * LIMIT_S:g}"}, timeout=20
    )
    assert posted.status_code == 202
    assert posted.headers["preference-applied"] == "wait=2"


@pytest.mark.parametrize("path", ["/v1/search", "/v1/incidents", "/v1/incidents/x/annotations", "/v1/keys"])
@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b'{"a":' * 50_000, b'{"write_up": ' + b"[" * 9_000 + b"]" * 9_000 + b"}"]
)
def test_deep_nesting_is_refused_and_harms_nothing(loopback: Secured, path: str, content: bytes) -> None:
    asked = httpx.post(loopback.base_url + path, content=content, headers={"Content-Type": "application/json"})
    assert asked.status_code in (413, 422), asked.text
    assert httpx.get(f"{loopback.base_url}/healthz").status_code == 200


def test_addresses_and_headers_have_a_limit(loopback: Secured) -> None:
    assert httpx.get(f"{loopback.base_url}/v1/incidents?cursor={'x' * 9_000}").status_code == 414
    assert httpx.get(f"{loopback.base_url}/v1/incidents", headers={"X-Long": "x" * 33_000}).status_code in (400, 431)


async def test_a_body_has_a_limit_that_no_endpoint_can_forget() -> None:
    app = FastAPI()

    async def read(request: Request) -> int:
        return len(await request.body())

    app.add_api_route("/read", read, methods=["POST"])
    transport = httpx.ASGITransport(Guard(app, GuardOptions(most_body_bytes=10)))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        assert (await client.post("/read", content=b"x" * 10)).json() == 10
        assert (await client.post("/read", content=b"x" * 11)).status_code == 413


@pytest.fixture(scope="module")
def with_keys(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A service with keys, which the pages of one website may use."""
    guard = GuardOptions(frozenset(), has_keys=True, cors_origins=("https://wiki.example",))
    with secured(tmp_path_factory.mktemp("keys"), guard_options=guard) as service:
        yield service


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_with_keys_any_name_and_any_page_may_ask_for_the_key_decides(with_keys: Secured, header: str) -> None:
    key = with_keys.key("triage").text
    headers = {"Origin": "https://evil.example", "Host": "triage.example"}
    sent = headers | {header: f"Bearer {key}" if header == "Authorization" else key}
    assert httpx.post(f"{with_keys.base_url}/v1/incidents", json=BODY, headers=sent).status_code == 202
    assert json.loads(httpx.get(f"{with_keys.base_url}/healthz", headers=headers).text)["status"] == "ok"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Sec-Fetch-Site": "same-origin"}, 401),
        ({"Origin": "SAME"}, 401),
        ({"Origin": "SAME", "Cookie": "triage_session=x"}, 401),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        # What a browser sends by itself is no key.
        ({"Origin": "https://evil.example", "Authorization": "Basic YTpi"}, 403),
        # A website that may use the service does so by a key, never by somebody's session.
        ({"Origin": "https://wiki.example"}, 403),
        ({"Origin": "https://wiki.example", "Cookie": "triage_session=x"}, 403),
    ],
)
def test_without_its_key_in_a_header_a_page_of_another_website_changes_nothing(
    with_keys: Secured, headers: dict[str, str], status: int
) -> None:
    sent = {name: with_keys.base_url if value == "SAME" else value for name, value in headers.items()}
    posted = httpx.post(f"{with_keys.base_url}/v1/incidents", json=BODY, headers=sent)
    assert posted.status_code == status
    if status == 403:
        assert "Authorization: Bearer KEY" in posted.json()["detail"]
