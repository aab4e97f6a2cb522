"""Live agreement over a socket, as JSON and as Prometheus reads it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.parts import HashingEmbedder, KeywordPipeline, app_without_model, served
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.insights.live_agreement import LiveOptions, LiveReport
from triage.redaction import Redactor
from triage.server.api.agreement import EXAMPLE
from triage.server.jobs import JobOptions, Jobs
from triage.store import Store, upgrade


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A service that measures at every request, after people corrected most of its labels."""
    folder: Path = tmp_path_factory.mktemp("live")
    url = f"sqlite:///{folder / 'triage.db'}"
    asyncio.run(upgrade(url))
    taxonomy, embedder, store = Taxonomy.load("llm_inference"), HashingEmbedder(), Store(url)
    history = ChromaHistory.open(None, embedder.fingerprint)
    app = app_without_model(
        Casebook(store, history, Redactor(), embedder, taxonomy),
        store,
        Jobs(store, KeywordPipeline(taxonomy), f"sqlite:///{folder / 'jobs.db'}", JobOptions(polling_s=0.02)),
        taxonomies={taxonomy.id: taxonomy},
        live_options=LiveOptions(gate=0.6, least=8, refresh_s=0),
    )
    with served(app) as base_url, httpx.Client(base_url=base_url, timeout=60) as client:
        yield client
    history.close()


def label(client: httpx.Client, key: str, write_up: str, given: str) -> None:
    posted = client.post("/v1/incidents", json={"id": key, "write_up": write_up}, headers={"Prefer": "wait=20"})
    assert posted.status_code == 200
    body = {"facet": "category", "labels": [given], "annotator": "ada"}
    assert client.post(f"/v1/incidents/{key}/annotations", json=body).status_code == 201


def samples(client: httpx.Client) -> dict[tuple[str, str], float]:
    answered = client.get("/metrics")
    assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = text_string_to_metric_families(answered.text)
    return {(s.name, s.labels.get("facet", "")): s.value for family in families for s in family.samples}


def test_without_labels_there_are_counts_and_no_kappa(live: httpx.Client) -> None:
    report = live.get("/v1/agreement").json()
    category = next(facet for facet in report["facets"] if facet["facet"] == "category")
    found = samples(live)

    assert category["kappa"]["undefined"] == "there is nothing to compare"
    assert category["state"] == "too few"
    assert found["triage_live_kappa_n", "category"] == 0
    assert ("triage_live_kappa", "category") not in found
    assert found["triage_live_alert", "category"] == 0
    assert found["triage_live_computed_seconds", ""] > 1_700_000_000


def test_corrections_show_in_kappa_and_raise_the_alert(live: httpx.Client) -> None:
    for n in range(10):
        label(live, f"net-{n}", f"A network switch of rack {n} failed.", "operational" if n else "infrastructure")
        label(live, f"engine-{n}", f"The scheduler of host {n} hung.", "operational" if n % 3 else "inference_engine")
    category = next(f for f in live.get("/v1/agreement").json()["facets"] if f["facet"] == "category")
    found = samples(live)

    assert category["kappa"]["n"] == category["coverage"]["hits"] == 20
    assert category["state"] == "below"
    assert "below the gate of 0.60" in category["alerts"][0]
    assert found["triage_live_kappa", "category"] == pytest.approx(category["kappa"]["value"])
    assert found["triage_live_kappa_low", "category"] < found["triage_live_kappa", "category"]
    assert found["triage_live_kappa_high", "category"] < 0.6
    assert found["triage_live_coverage", "category"] == 1
    assert found["triage_live_alert", "category"] == 1
    assert ("triage_label_drift_p", "category") not in found


def test_both_are_described_with_examples_that_hold(live: httpx.Client) -> None:
    paths = live.get("/openapi.json").json()["paths"]

    described = paths["/v1/agreement"]["get"]["responses"]["200"]["content"]["application/json"]
    assert described["schema"]["$ref"].endswith("/LiveReport")
    assert LiveReport.model_validate(described["example"]) == LiveReport.model_validate(EXAMPLE)
    plain = paths["/metrics"]["get"]["responses"]["200"]["content"]["text/plain"]["example"]
    assert [family.name for family in text_string_to_metric_families(plain)] == ["triage_live_kappa"]
