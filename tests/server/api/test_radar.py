from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from tests.insights.radar.parts import text
from tests.parts import HashingEmbedder
from tests.server.api.secured import Secured, casebook_of, secured
from triage.client import Client
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.insights.radar import Scope, scan_store
from triage.redaction import Redactor
from triage.store import Store, upgrade

START = datetime(2026, 3, 2, tzinfo=UTC)
SECRET = "ann.smith@example.org"
TEAMS = {"payments": 6, "billing": 5, "search": 3}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A shared history of two categories, and incidents of three teams that triage abstained on."""
    with secured(tmp_path_factory.mktemp("radar")) as service:
        asyncio.run(_fill(service.database))
        yield service


async def _fill(database: str) -> None:
    async with casebook_of(database) as (casebook, store):
        records = [
            (Incident(id=f"{label}-{n}", write_up=text(label, n)), {"category": (label,)})
            for label in ("infrastructure", "operational")
            for n in range(15)
        ]
        await casebook.import_history(records, "ada", "human", team=SHARED_TEAM)
        for team, count in TEAMS.items():
            for n in range(count):
                name = f"{team}:{n}"
                incident = Incident(
                    id=name, title=f"For {SECRET}", write_up=text("invoice", n), started_at=START + timedelta(days=n)
                )
                await casebook.accept(incident, team)
                unsure = FacetResult(facet="category", labels=(), probability=0.3, abstention="Not sure enough.")
                provenance = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0")
                await store.triages.save(
                    name, Triage(incident_id=name, facets={"category": unsure}, provenance=provenance)
                )


@pytest.fixture
def payments(service: Secured) -> Iterator[httpx.Client]:
    with service.client("read", teams=["payments"]) as client:
        yield client


def test_a_key_is_shown_the_groups_of_its_teams_alone(service: Secured, payments: httpx.Client) -> None:
    mine = payments.get("/v1/radar", params={"facet": "category"}).json()
    with service.client("read") as everywhere:
        everyones = everywhere.get("/v1/radar", params={"facet": "category"}).json()

    assert (mine["recent"], mine["labelled"], len(mine["ill_fitting"])) == (36, 30, 6)
    assert (everyones["recent"], len(everyones["ill_fitting"])) == (44, 14)
    (group,) = mine["groups"]
    assert set(group["incidents"]) == {f"payments:{n}" for n in range(6)}
    assert all(one["reasons"][0]["kind"] == "abstained" for one in mine["ill_fitting"])
    assert "billing:" not in str(mine)
    assert group["draft"]["by"] == "words"


def test_what_is_shown_is_redacted(payments: httpx.Client) -> None:
    answer = payments.get("/v1/radar", params={"facet": "category"})
    assert SECRET not in answer.text
    assert "<EMAIL_1>" in answer.text


def test_too_few_incidents_are_a_quiet_answer_with_how_many_are_needed(service: Secured) -> None:
    with service.client("read", teams=["search"]) as search:
        quiet = search.get("/v1/radar", params={"facet": "category"}).json()
        shown = search.get("/v1/radar", params={"facet": "category", "least": 3}).json()

    assert quiet["groups"] == []
    assert quiet["quiet"].startswith("3 distinct incidents fit no label of category well: 5 ")
    assert [group["size"] for group in shown["groups"]] == [3]


def test_only_the_last_incidents_are_looked_at(payments: httpx.Client) -> None:
    found = payments.get("/v1/radar", params={"facet": "category", "recent": 4}).json()
    assert (found["recent"], {one["incident_id"] for one in found["ill_fitting"]}) == (
        4,
        {f"payments:{n}" for n in range(2, 6)},
    )


def test_a_facet_that_is_not_there_or_is_ordered_is_refused(payments: httpx.Client) -> None:
    assert payments.get("/v1/radar", params={"facet": "colour"}).status_code == 422
    ordered = payments.get("/v1/radar", params={"facet": "severity"})
    assert (ordered.status_code, "is ordered" in ordered.json()["detail"]) == (422, True)
    assert payments.get("/v1/radar").json()["facet"] == "failure_mode"


@pytest.mark.parametrize("path", ["/v1/radar?facet=category", "/v1/automation"])
def test_what_takes_long_is_done_for_one_caller_at_a_time(service: Secured, payments: httpx.Client, path: str) -> None:
    lock: asyncio.Lock = service.app.state.service.analysis_lock
    asyncio.run(lock.acquire())
    try:
        with pytest.raises(httpx.ReadTimeout):
            payments.get(path, timeout=2)
        assert payments.get("/v1/incidents").status_code == 200
    finally:
        lock.release()
    assert payments.get(path).status_code == 200


def test_the_client_asks_for_it(service: Secured) -> None:
    with Client(service.base_url, service.key("read", teams=["payments"]).text) as client:
        assert client.radar("category", least=6)["groups"][0]["size"] == 6


async def test_labels_of_an_earlier_version_of_the_taxonomy_are_left_out_and_told(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(database)
    store, embedder, taxonomy = Store(database), HashingEmbedder(), Taxonomy.load("llm_inference")
    history = ChromaHistory.open(None, embedder.fingerprint)
    category, *others = taxonomy.facets
    gone = category.labels[0].model_copy(update={"id": "gone", "name": "Gone", "aliases": ()})
    before = taxonomy.model_copy(
        update={"facets": (category.model_copy(update={"labels": (*category.labels, gone)}), *others)}
    )
    old, now = (Casebook(store, history, Redactor(), embedder, one) for one in (before, taxonomy))
    for name, labels in (("triaged", ("gone",)), ("abstained", ())):
        await old.accept(Incident(id=name, write_up=text("invoice", len(name))))
        result = FacetResult(facet="category", labels=labels, probability=0.3, abstention="Not sure enough.")
        provenance = Provenance(taxonomy="llm_inference", taxonomy_version="1.0.0")
        await store.triages.save(name, Triage(incident_id=name, facets={"category": result}, provenance=provenance))
    await old.import_history([(Incident(id="h", write_up=text("invoice", 2)), {"category": ("gone",)})], "ada", "human")

    found = await scan_store(store, now, Scope("category"))

    assert [one.incident_id for one in found.ill_fitting] == ["abstained"]
    assert found.notes[-1] == "2 label(s) that llm_inference 1.1.0 does not have are left out."
    history.close()
    await store.close()
