from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.server.api.secured import secured
from triage.insights.study import Roles
from triage.insights.study.roles import Detection


def test_a_summary_is_markdown_with_what_people_said_and_an_entity_tag(client: httpx.Client) -> None:
    body = {"id": "sum-1", "title": "No <b>network</b>", "write_up": "A switch failed for all users at 09:12."}
    assert client.post("/v1/incidents", json=body, headers={"Prefer": "wait=20"}).status_code == 200
    first = client.get("/v1/incidents/sum-1/summary")

    assert first.status_code == 200
    assert first.headers["content-type"] == "text/markdown; charset=utf-8"
    assert first.text.startswith("# No &lt;b&gt;network&lt;/b&gt;\n\n> **Draft.**")
    assert "> “A switch failed for all users at 09:12.”" in first.text
    again = client.get("/v1/incidents/sum-1/summary", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.text) == (304, "")

    said = {
        "facet": "category",
        "labels": ["operational"],
        "annotator": "ada",
        "is_gold": True,
        "note": "a wrong cable",
    }
    assert client.post("/v1/incidents/sum-1/annotations", json=said).status_code == 201
    later = client.get("/v1/incidents/sum-1/summary", headers={"If-None-Match": first.headers["etag"]})
    assert later.status_code == 200
    assert "Corrected by ada" in later.text
    assert "Note: “a wrong cable”" in later.text


def test_an_incident_that_is_not_there_has_no_summary(client: httpx.Client) -> None:
    missing = client.get("/v1/incidents/sum-none/summary")

    assert missing.status_code == 404
    assert missing.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("facet", "is_asked"), [("detection", True), ("modality", False)])
def test_the_roles_of_the_service_say_which_facet_tells_how_it_was_noticed(
    tmp_path: Path, facet: str, is_asked: bool
) -> None:
    with (
        secured(tmp_path, roles=Roles(detection=Detection(facet=facet))) as service,
        service.client("admin") as client,
    ):
        client.post("/v1/incidents", json={"id": "a", "write_up": "A switch failed."}).raise_for_status()
        said = {"facet": "detection", "labels": ["undisclosed"], "annotator": "ada", "is_gold": True}
        client.post("/v1/incidents/a/annotations", json=said).raise_for_status()
        draft = client.get("/v1/incidents/a/summary").text

    assert ("How was it detected?" in draft) == is_asked
