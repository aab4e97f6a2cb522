from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import pytest

from tests.parts import without_request_id
from tests.server.api.secured import Secured, secured
from tests.server.api.test_access import filled, operations
from triage.domain.annotation import Assignment
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import Store

TEAMS = ("payments", "billing")


class Apart(NamedTuple):
    service: Secured
    clients: dict[str, httpx.Client]


def mark(team: str) -> str:
    """A word that stands in everything that a team posts."""
    return f"secretof{team}"


@pytest.fixture(scope="module")
def apart(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Apart]:
    """Two teams that use the same ids for their incidents, and label them."""
    with secured(tmp_path_factory.mktemp("teams")) as service:
        clients = {team: service.client("admin", teams=[team]) for team in TEAMS}
        for team, client in clients.items():
            for name in ("one", "two"):
                body = {"id": name, "title": f"{mark(team)} {name}", "write_up": f"The {mark(team)} switch failed."}
                assert client.post("/v1/incidents", json=body).status_code == 202
            for who, label in ((f"ada-{mark(team)}", "infrastructure"), (f"max-{mark(team)}", "operational")):
                said = {"facet": "category", "labels": [label], "annotator": who, "note": mark(team)}
                assert client.post(f"/v1/incidents/{team}:one/annotations", json=said).status_code == 201
            gold = {"facet": "category", "labels": ["infrastructure"], "annotator": "anything", "is_gold": True}
            assert client.post(f"/v1/incidents/{team}:two/annotations", json=gold).status_code == 201
        asyncio.run(_fill(service.database))
        yield Apart(service, clients)
        for client in clients.values():
            client.close()


async def _fill(database: str) -> None:
    store = Store(database)
    for team in TEAMS:
        name = f"{team}:one"
        result = FacetResult(facet="category", labels=("infrastructure",), rationale=mark(team))
        provenance = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0")
        await store.triages.save(name, Triage(incident_id=name, facets={"category": result}, provenance=provenance))
        await store.assignments.add(
            [Assignment(incident_id=name, annotator=who, facets=("category",)) for who in ("anything", mark(team))]
        )
    await store.close()


def bodies(apart: Apart, path: str) -> dict[str, Any]:
    """A body that the endpoint takes."""
    operation = apart.clients["payments"].get("/openapi.json").json()["paths"][path]["post"]
    content = operation.get("requestBody", {}).get("content", {})
    example: dict[str, Any] = content.get("application/json", {}).get("example", {})
    return example


def test_the_same_id_of_two_teams_is_two_incidents(apart: Apart) -> None:
    for team, client in apart.clients.items():
        read = client.get(f"/v1/incidents/{team}:one").json()
        assert (read["team"], read["incident"]["title"]) == (team, f"{mark(team)} one")
        listed = client.get("/v1/incidents").json()["incidents"]
        assert {each["id"] for each in listed} == {f"{team}:one", f"{team}:two"}


def test_whatever_has_an_incident_in_its_path_tells_nothing_of_another_teams_one(apart: Apart) -> None:
    paths = [each for each in operations(apart.service.app) if "{incident_id}" in each[1]]
    assert len(paths) >= 6
    for method, path, _ in paths:
        for content in ({}, bodies(apart, path)) if method == "POST" else (None,):
            asked = [
                apart.clients["payments"].request(method, path.replace("{incident_id}", name), json=content)
                for name in ("billing:one", "billing:none")
            ]
            foreign, unknown = (without_request_id(each).replace("billing:none", "billing:one") for each in asked)
            assert [each.status_code for each in asked] == [404, 404], (method, path)
            assert foreign == unknown
            assert asked[0].headers.keys() == asked[1].headers.keys()


def test_no_other_endpoint_shows_anything_of_another_team(apart: Apart) -> None:
    others = [each for each in operations(apart.service.app) if "{incident_id}" not in each[1]]
    told = ""
    for method, path, _ in others:
        content = json.dumps(bodies(apart, path)).encode() if method == "POST" else None
        asked = apart.clients["payments"].request(
            method, filled(path), content=content, headers={"Content-Type": "application/json"}
        )
        assert asked.status_code < 500, (method, path, asked.text)
        assert mark("billing") not in asked.text, (method, path)
        assert "billing:" not in asked.text, (method, path)
        told += asked.text
    # Their own is there, so what is looked for would have been found.
    assert mark("payments") in told


def test_a_search_finds_ones_own_and_nobody_elses(apart: Apart) -> None:
    for team, client in apart.clients.items():
        for words in map(mark, TEAMS):
            found = client.post("/v1/search", json={"text": f"the {words} switch", "k": 50}).json()["neighbours"]
            assert [each["incident_id"] for each in found] == [f"{team}:two"]


def test_an_annotator_is_given_only_what_the_key_may_see(apart: Apart) -> None:
    for team, client in apart.clients.items():
        given = client.get("/v1/annotators/anything/next").json()
        assert (given["task"]["incident_id"], given["assigned"]) == (f"{team}:one", 1)
    nothing = apart.clients["payments"].get(f"/v1/annotators/{mark('billing')}/next")
    assert nothing.status_code == 404
    assert "Annotators with assignments: anything, secretofpayments." in nothing.json()["detail"]


def test_disagreements_and_the_audit_log_are_those_of_the_team(apart: Apart) -> None:
    for team, client in apart.clients.items():
        disputed = client.get("/v1/disagreements").json()["incidents"]
        assert [each["incident_id"] for each in disputed] == [f"{team}:one"]
        entries = client.get("/v1/audit").json()["entries"]
        assert {entry["team"] for entry in entries} == {team}
        assert [entry["details"]["after"] for entry in entries if entry["incident_id"] == f"{team}:two"] == [
            ["infrastructure"]
        ]
        assert all(entry["actor"].startswith("key:") for entry in entries if entry["action"] == "label.given")


def test_figures_over_all_teams_are_refused_to_a_key_of_some(apart: Apart) -> None:
    for path in ("/v1/agreement", "/metrics"):
        assert apart.clients["payments"].get(path).status_code == 403
        with apart.service.client("read") as everywhere:
            assert everywhere.get(path).status_code == 200


def post(client: httpx.Client, team: str | None = None, **body: Any) -> httpx.Response:
    headers = {} if team is None else {"X-Team": team}
    return client.post("/v1/incidents", json={"write_up": "It failed."} | body, headers=headers)


def test_a_key_of_several_teams_names_one(apart: Apart) -> None:
    with apart.service.client("triage", "read", teams=["search", "ads"]) as client:
        unnamed = post(client, id="x")
        assert (unnamed.status_code, unnamed.json()["available"]) == (422, ["ads", "search"])
        assert post(client, "ads", id="x").json()["id"] == "ads:x"
        in_body = {"id": "x", "write_up": "It failed.", "team": "search"}
        assert client.post("/v1/incidents", json=in_body).json()["id"] == "search:x"
        assert client.post("/v1/incidents", json=in_body, headers={"X-Team": "ads"}).status_code == 422
        assert post(client, "billing", id="x").status_code == 403
        assert post(client, "no team!", id="x").status_code == 422
        generated = post(client, "ads").json()["id"]
        assert generated.startswith("ads:inc-")
        assert {each["team"] for each in client.get("/v1/incidents").json()["incidents"]} == {"ads", "search"}


def test_who_is_not_limited_posts_for_the_default_team_or_any(apart: Apart) -> None:
    with apart.service.client("triage") as client:
        assert post(client, id="plain").json()["team"] == "default"
        assert post(client, "payments", id="from-outside").json()["id"] == "payments:from-outside"
    assert apart.clients["payments"].get("/v1/incidents/payments:from-outside").status_code == 200


def test_nobody_can_take_another_teams_id_nor_learn_that_it_is_there(apart: Apart) -> None:
    with apart.service.client("triage", teams=["default"]) as client:
        there, not_there = post(client, id="billing:one"), post(client, id="billing:none")
        assert [there.status_code, not_there.status_code] == [422, 422]
        assert without_request_id(there) == without_request_id(not_there)
    mine = post(apart.clients["payments"], id="billing:one")
    assert mine.json()["id"] == "payments:billing:one"
    again = post(apart.clients["payments"], id="payments:billing:one")
    assert again.json()["id"] == "payments:billing:one"


def test_an_id_that_is_too_long_with_its_team_is_refused(apart: Apart) -> None:
    assert post(apart.clients["payments"], id="x" * 119).status_code == 202
    assert post(apart.clients["payments"], id="x" * 120).status_code == 422
