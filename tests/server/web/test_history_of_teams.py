"""The history page where keys are needed: empty at first, and then each team's own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .conftest import OpenPage, Site, check_readable, key_of, site

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("teams"), auth="on", shipped_history=False) as made:
        yield made


def team_key(service: Site, team: str) -> dict[str, str]:
    return key_of(service, "read", "triage", "annotate", teams=[team])


def test_an_empty_history_teaches_how_to_fill_it(service: Site, open_page: OpenPage) -> None:
    page = open_page("/history", extra_http_headers=team_key(service, "nobody"))
    assert "triage import" in page.locator(".empty").inner_text()
    check_readable(page)


def test_a_team_finds_its_own_history_and_no_other(service: Site) -> None:
    ours, theirs = team_key(service, "payments"), team_key(service, "billing")
    write_up = "quux <script>alert(1)</script> \x07 overflow"
    posted = service.client.post(
        "/v1/incidents", json={"write_up": write_up, "title": write_up}, headers=ours | {"prefer": "wait=30"}
    ).json()
    gold = {"facet": "category", "labels": ["infrastructure"], "annotator": "ada", "is_gold": True}
    kept = service.client.post(f"/v1/incidents/{posted['incident_id']}/annotations", json=gold, headers=ours)
    assert kept.status_code == 201, kept.text

    found = service.client.get("/history", params={"q": "quux", "mode": "words"}, headers=ours).text
    assert "1 incident found" in found
    assert "&lt;script&gt;" in found
    assert "<script>alert" not in found
    nothing = service.client.get("/history", params={"q": "quux"}, headers=theirs).text
    assert "No incident has a label yet" in nothing
