"""Incidents of teams on pages: who sees, posts and labels what, by the scopes and teams of their key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from triage.domain.principal import Scope

from .conftest import Site, make_key, site
from .test_login import sign_in
from .triaged import keep

pytestmark = pytest.mark.slow

PARTS = (
    "",
    "/progress",
    "/ledger",
    "/timeline",
    "/annotations",
    "/annotations.csv",
    "/triages",
    "/provenance",
    "/summary",
    "/summary.md",
    "/export.json",
    "/export.md",
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("teams"), auth="on", shipped_history=False) as made:
        keep(made, "payments:one", "payments")
        keep(made, "billing:one", "billing")
        yield made


def browser(service: Site, *scopes: Scope, **options: Any) -> httpx.Client:
    client = sign_in(service, make_key(service, *scopes, **options).text)
    client.headers["origin"] = service.url
    return client


def test_another_teams_incident_is_as_one_that_is_not_there(service: Site) -> None:
    client = browser(service, "admin", teams=["payments"])
    for part in (*PARTS, "/audit"):
        assert client.get(f"/incidents/payments:one{part}").status_code in (200, 204), part
        asked = [client.get(f"/incidents/billing:{name}{part}") for name in ("one", "none")]
        assert [each.status_code for each in asked] == [404, 404], part
        assert "Packets lost" not in asked[0].text
    for action in ("labels", "preview", "triage"):
        assert client.post(f"/incidents/billing:one/{action}", data={"pick": "category:x"}).status_code == 404


def test_the_first_page_lists_and_posts_for_ones_own_teams(service: Site) -> None:
    client = browser(service, "triage", "read", teams=["payments", "search"])
    text = client.get("/").text
    assert "/incidents/payments%3Aone" in text
    assert "billing" not in text
    assert "<option>search</option>" in text
    posted = client.post("/", data={"write_up": "It failed over and over.", "team": "search"})
    assert posted.headers["location"].startswith("/incidents/search%3Ainc-")
    unnamed = client.post("/", data={"write_up": "It failed over and over."})
    assert (unnamed.status_code, "name one of payments, search" in unnamed.text) == (422, True)
    foreign = client.post("/", data={"write_up": "It failed.", "team": "billing"})
    assert foreign.status_code == 403
    assert "billing:" not in client.get("/latest").text


def test_who_only_reads_sees_all_and_changes_nothing(service: Site) -> None:
    client = browser(service, "read")
    shown = client.get("/incidents/payments:one").text
    assert "Infrastructure" in shown
    assert "<form" not in shown.split("<main", 1)[1].split("</main>")[0]
    assert "Audit" not in shown
    assert "This key only reads" in client.get("/").text
    assert client.post("/", data={"write_up": "It failed."}).status_code == 403
    for path in ("labels", "preview", "triage"):
        assert client.post(f"/incidents/payments:one/{path}", data={"save": "all"}).status_code == 403
    assert client.get("/incidents/payments:one/audit").status_code == 403


def test_the_key_gives_the_annotators_name_until_another_is_said(service: Site) -> None:
    client = browser(service, "read", "annotate")
    chosen = {"save": "all", "chosen": "severity:low"}
    assert client.post("/incidents/payments:one/labels", data=chosen).status_code == 303
    said = client.get("/v1/incidents/payments:one/annotations").json()["annotations"]
    assert [(each["annotator"], each["labels"]) for each in said] == [("ada", ["low"])]


def test_a_key_that_may_not_administrate_sees_no_notifications(service: Site) -> None:
    admin = browser(service, "admin")
    made = admin.post("/v1/subscriptions", json={"url": "https://hooks.example.org/x", "team": "payments"})
    assert made.status_code == 201, made.text
    keep(service, "payments:told", "payments")
    assert "subscription" in admin.get("/incidents/payments:told/timeline").text
    assert "subscription" not in browser(service, "read").get("/incidents/payments:told/timeline").text
