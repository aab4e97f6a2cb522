from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from fastapi import FastAPI

from tests.parts import HashingEmbedder, KeywordPipeline, app_without_model, served
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.models.chat.budget import Taken
from triage.redaction import Redactor
from triage.server.jobs import Jobs
from triage.store import Store


def test_the_service_says_that_it_lives_and_which_part_does_not_work(client: httpx.Client) -> None:
    assert client.get("/healthz").json()["status"] == "ok"

    ready = client.get("/readyz")
    assert ready.status_code == 200
    checks = ready.json()["checks"]
    assert {name: check["is_ok"] for name, check in checks.items()} == {
        "database": True,
        "index": True,
        "queue": True,
        "model": False,
    }
    assert checks["model"] == {
        "is_ok": False,
        "is_required": False,
        "detail": "No model answers at http://127.0.0.1:1.",
    }


def test_taxonomies_can_be_listed_and_read(client: httpx.Client) -> None:
    listed = client.get("/v1/taxonomies").json()["taxonomies"]
    assert {each["id"]: each["is_in_use"] for each in listed} == {"llm_inference": True, "cloud_faults": False}

    taxonomy = client.get("/v1/taxonomies/llm_inference").json()
    category = next(facet for facet in taxonomy["facets"] if facet["id"] == "category")
    assert "infrastructure" in [label["id"] for label in category["labels"]]


def test_the_description_documents_bodies_examples_and_errors(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    post = described["paths"]["/v1/incidents"]["post"]
    example = post["requestBody"]["content"]["application/json"]["example"]

    assert set(post["responses"]) >= {"200", "202", "401", "403", "409", "413", "415", "422", "429", "500", "503"}
    assert set(post["requestBody"]["content"]) == {"application/json", "text/markdown", "text/plain"}
    assert "application/problem+json" in post["responses"]["409"]["content"]
    assert {"NewIncident", "NewAnnotation", "SearchQuery", "Problem", "Triage"} <= set(
        described["components"]["schemas"]
    )
    assert _dangling(described) == set()
    assert client.post("/v1/incidents", json=example).status_code in (200, 202)


def test_spending_is_told_by_day_and_model(client: httpx.Client, database: str) -> None:
    async def spend() -> None:
        store = Store(database)
        await store.spending.add("2026-11-25", "big", Taken(2, 1_200, 34, 0.5), is_priced=True)
        await store.spending.add("2026-11-24", "small", Taken(1, 7, 3), is_priced=False)
        await store.close()

    asyncio.run(spend())
    told = client.get("/v1/spending").json()["spending"]

    assert [(one["day"], one["model"], one["calls"], one["cost"]) for one in told] == [
        ("2026-11-25", "big", 2, 0.5),
        ("2026-11-24", "small", 1, None),
    ]
    assert len(client.get("/v1/spending", params={"days": 1}).json()["spending"]) == 1
    assert client.get("/v1/spending", params={"days": 0}).status_code == 422


def test_a_service_without_its_tables_is_not_ready_and_gives_nothing_of_its_inside_away(tmp_path: Path) -> None:
    @asynccontextmanager
    async def no_work(_app: FastAPI) -> AsyncIterator[None]:
        yield

    taxonomy = Taxonomy.load("llm_inference")
    store = Store(f"sqlite:///{tmp_path / 'empty.db'}")
    history = ChromaHistory.open(None, "hashing-64")
    jobs = Jobs(store, KeywordPipeline(taxonomy), f"sqlite:///{tmp_path / 'jobs.db'}")
    casebook = Casebook(store, history, Redactor(), HashingEmbedder(), taxonomy)
    with served(app_without_model(casebook, store, jobs, taxonomies={}, lifespan=no_work)) as url:
        ready = httpx.get(f"{url}/readyz")
        listed = httpx.get(f"{url}/v1/incidents")
    history.close()

    assert ready.status_code == 503
    assert {name: check["is_ok"] for name, check in ready.json()["checks"].items()} == {
        "database": False,
        "index": True,
        "queue": False,
    }
    assert listed.status_code == 500
    assert listed.headers["content-type"] == "application/problem+json"
    assert "no such table" not in listed.text


def _dangling(described: dict) -> set[str]:
    found: set[str] = set()

    def walk(node: object) -> None:
        if isinstance(node, dict):
            if isinstance(reference := node.get("$ref"), str):
                found.add(reference)
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(described)
    return {r for r in found if r.removeprefix("#/components/schemas/") not in described["components"]["schemas"]}
