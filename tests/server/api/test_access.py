from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI

from tests.parts import without_request_id
from tests.server.api.secured import Secured, secured
from triage.server.api.access import OPEN, check, declared, requires
from triage.server.api.authentication import CACHED_S, AccessOptions


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("access")) as service:
        yield service


def operations(app: FastAPI) -> list[tuple[str, str, str]]:
    """Method, path and scope of every endpoint that needs a key."""
    return [
        (method, str(route.path), need.scope)
        for route, need in declared(app)
        if need is not None
        for method in sorted(route.methods or ())
    ]


def filled(path: str) -> str:
    """The path with something in the place of its parameters."""
    return "/".join("anything" if part.startswith("{") else part for part in path.split("/"))


def test_every_endpoint_says_its_scope_and_the_description_tells_it(service: Secured) -> None:
    found = operations(service.app)
    assert len(found) >= 18
    assert {str(route.path) for route, need in declared(service.app) if need is None} == OPEN

    described = httpx.get(f"{service.base_url}/openapi.json").json()
    assert set(described["components"]["securitySchemes"]) == {"bearer", "header"}
    for method, path, scope in found:
        operation = described["paths"][path][method.lower()]
        assert operation["security"] == [{"bearer": []}, {"header": []}], path
        assert operation["x-scope"] == scope
        assert {"401", "403", "429"} <= set(operation["responses"])


def test_an_app_with_an_endpoint_that_forgot_its_scope_does_not_start() -> None:
    router = APIRouter(prefix="/v1")
    router.add_api_route("/said", lambda: None, dependencies=[requires("read")])
    router.add_api_route("/forgotten", lambda: None)
    app = FastAPI(docs_url=None, redoc_url=None)
    app.include_router(router)
    with pytest.raises(RuntimeError, match=r"declare no scope.*: /v1/forgotten$"):
        check(app)


def test_every_endpoint_asks_for_a_key(service: Secured) -> None:
    for method, path, _ in operations(service.app):
        asked = httpx.request(method, service.base_url + filled(path))
        assert asked.status_code == 401, path
        assert asked.headers["www-authenticate"] == 'Bearer realm="triage"'
        assert asked.json()["reason"] == "missing"
    for path in OPEN - {"/v1/webhooks/{source_id}"}:
        assert httpx.get(service.base_url + path).status_code in (200, 503), path


def test_every_endpoint_names_the_scope_that_a_key_lacks(service: Secured) -> None:
    with service.client("read") as reader, service.client("triage") as poster:
        for method, path, scope in operations(service.app):
            asked = (poster if scope == "read" else reader).request(method, filled(path))
            assert (asked.status_code, asked.json()["scope"]) == (403, scope), path
            assert f'scope="{scope}"' in asked.headers["www-authenticate"]


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
def test_a_key_is_taken_from_either_header(service: Secured, header: str) -> None:
    text = service.key("read").text
    value = f"bearer {text}" if header == "Authorization" else text
    listed = httpx.get(f"{service.base_url}/v1/incidents", headers={header: value})
    assert listed.status_code == 200
    assert listed.headers["ratelimit-policy"] == '"key";q=600;w=60'


def ask(service: Secured, text: str) -> httpx.Response:
    return httpx.get(f"{service.base_url}/v1/incidents", headers={"X-API-Key": text})


def test_an_unknown_and_a_revoked_key_are_told_the_same_and_an_expired_one_when(service: Secured) -> None:
    made = service.key("read")
    with service.client("admin") as admin:
        assert admin.delete(f"/v1/keys/{made.key.id}").status_code == 200
    unknown, revoked = ask(service, made.text[:-4] + "AAAA"), ask(service, made.text)

    assert unknown.status_code == 401
    assert without_request_id(unknown) == without_request_id(revoked)
    assert unknown.headers["www-authenticate"] == revoked.headers["www-authenticate"]
    assert 'error="invalid_token"' in unknown.headers["www-authenticate"]
    expired = ask(service, service.key("read", expires_at=datetime.now(UTC) - timedelta(hours=1)).text)
    assert (expired.status_code, expired.json()["reason"]) == (401, "expired")


def test_a_key_that_another_process_revokes_stops_to_open_within_seconds(service: Secured) -> None:
    made = service.key("read")
    assert ask(service, made.text).status_code == 200
    with service.client("admin") as admin:
        admin.delete(f"/v1/keys/{made.key.id}")
    until = time.monotonic() + CACHED_S + 1
    while ask(service, made.text).status_code == 200:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_key_is_made_rotated_and_revoked_over_http(service: Secured) -> None:
    with service.client("admin") as admin:
        described = admin.get("/openapi.json").json()["paths"]["/v1/keys"]["post"]
        made = admin.post("/v1/keys", json=described["requestBody"]["content"]["application/json"]["example"])
        assert made.status_code == 201, made.text
        key_id, first = made.json()["key"]["id"], made.json()["text"]
        assert ask(service, first).status_code == 200

        second = admin.post(f"/v1/keys/{key_id}/rotate").json()["text"]
        assert [ask(service, text).status_code for text in (first, second)] == [200, 200]
        third = admin.post(f"/v1/keys/{key_id}/rotate", json={"grace_s": 0}).json()["text"]
        assert ask(service, third).status_code == 200

        listed = next(key for key in admin.get("/v1/keys").json()["keys"] if key["id"] == key_id)
        assert listed["last_used_at"] is not None
        assert first not in admin.get("/v1/keys").text
        assert admin.delete(f"/v1/keys/{key_id}").json()["revoked_at"] is not None
        assert admin.post(f"/v1/keys/{key_id}/rotate").status_code == 409
        assert admin.delete("/v1/keys/nobody").status_code == 404
        actions = [entry["action"] for entry in admin.get("/v1/audit", params={"limit": 5}).json()["entries"]]
        assert actions[:4] == ["key.revoked", "key.rotated", "key.rotated", "key.created"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": "x", "scopes": []},
        {"name": "x", "scopes": ["root"]},
        {"name": "x", "scopes": ["read"], "teams": []},
        {"name": "x", "scopes": ["read"], "teams": ["*"]},
        {"name": "x", "scopes": ["read"], "teams": ["a:b"]},
        {"name": "x\ny", "scopes": ["read"]},
        {"name": "x", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"},
        {"name": "x", "scopes": ["read"], "id": "mine"},
    ],
)
def test_a_key_that_can_not_be_is_refused(service: Secured, body: dict[str, Any]) -> None:
    with service.client("admin") as admin:
        assert admin.post("/v1/keys", json=body).status_code == 422


def test_an_administrator_of_some_teams_has_no_power_over_others(service: Secured) -> None:
    other = service.key("read", teams=["billing"])
    everywhere = service.key("read")
    with service.client("admin", teams=["payments", "search"]) as admin:
        for teams in (None, ["billing"], ["payments", "billing"]):
            asked = admin.post("/v1/keys", json={"name": "x", "scopes": ["read"], "teams": teams})
            assert asked.status_code == 403, teams
        assert admin.post("/v1/keys", json={"name": "x", "scopes": ["admin"], "teams": ["search"]}).status_code == 201
        for made in (other, everywhere):
            assert admin.delete(f"/v1/keys/{made.key.id}").status_code == 404
            assert admin.post(f"/v1/keys/{made.key.id}/rotate").status_code == 404
        listed = [set(key["teams"]) for key in admin.get("/v1/keys").json()["keys"]]
        assert {"search"} in listed
        assert all(teams <= {"payments", "search"} for teams in listed)
    assert ask(service, other.text).status_code == 200


def test_readiness_tells_its_details_only_to_those_with_a_key(service: Secured) -> None:
    assert httpx.get(f"{service.base_url}/readyz").json()["checks"] == {}
    with service.client("read") as reader:
        assert "database" in reader.get("/readyz").json()["checks"]


def test_a_key_is_limited_in_its_requests_and_told_when_to_come_again(service: Secured) -> None:
    with service.client("read", requests_per_minute=2) as reader, service.client("read") as other:
        answers = [reader.get("/v1/taxonomies") for _ in range(3)]
        assert [each.status_code for each in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit"].startswith('"key";r=1;t=')
        assert 1 <= int(answers[2].headers["retry-after"]) <= 30
        assert answers[2].json()["type"] == "urn:triage:problem:too_many_requests"
        assert other.get("/v1/taxonomies").status_code == 200


def test_an_address_that_keeps_sending_wrong_keys_is_slowed_down_and_right_keys_are_not(tmp_path: Path) -> None:
    with secured(tmp_path, AccessOptions(is_on=True)) as service:
        with httpx.Client(base_url=service.base_url) as client:
            answers = [
                client.get("/v1/incidents", headers={"X-API-Key": f"triage_{n:012x}_{'A' * 43}"}) for n in range(60)
            ]
        assert {each.status_code for each in answers[:30]} == {401}
        assert [each.headers["retry-after"] for each in answers if each.status_code == 429]
        assert ask(service, service.key("read").text).status_code == 200
