from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.parts import HashingEmbedder, KeywordPipeline, app_without_model, served
from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.redaction import Redactor
from triage.server.api import Check
from triage.server.jobs import JobOptions, Jobs
from triage.server.notifications import Courier, Notifier
from triage.store import Store, upgrade

MAX_WRITE_UP_BYTES = 100_000


@pytest.fixture(scope="module")
def pipeline() -> KeywordPipeline:
    return KeywordPipeline(Taxonomy.load("llm_inference"), slow_s=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def database(folder: Path) -> str:
    """The service's system of record, for what other processes do with it."""
    url = f"sqlite:///{folder / 'triage.db'}"
    asyncio.run(upgrade(url))
    return url


@pytest.fixture(scope="module")
def client(folder: Path, database: str, pipeline: KeywordPipeline) -> Iterator[httpx.Client]:
    """A client of one service for all tests of a file: they use ids of their own."""
    taxonomies = {name: Taxonomy.load(name) for name in ("llm_inference", "cloud_faults")}
    store = Store(database)
    embedder = HashingEmbedder()
    history = ChromaHistory.open(folder / "index", embedder.fingerprint)
    jobs = Jobs(store, pipeline, f"sqlite:///{folder / 'jobs.db'}", JobOptions(polling_s=0.02, sweep_s=0.2, attempts=1))

    async def model() -> str:
        raise ModelUnavailable("No model answers at http://127.0.0.1:1.")

    app = app_without_model(
        Casebook(store, history, Redactor(), embedder, taxonomies["llm_inference"]),
        store,
        jobs,
        taxonomies=taxonomies,
        checks={"model": Check(model, is_required=False)},
        notifier=Notifier(store, courier=Courier(private=True)),
        max_write_up_bytes=MAX_WRITE_UP_BYTES,
        wait_limit_s=20,
    )
    with served(app) as base_url, httpx.Client(base_url=base_url, timeout=60) as client:
        yield client
    history.close()
