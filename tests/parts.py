"""Small real parts for service tests: a deterministic embedder and pipeline that need no model."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI

from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Evidence, FacetResult, Provenance, Triage
from triage.history.casebook import Casebook
from triage.labels.preview import Previewer
from triage.models.embedding import Vectors, normalise
from triage.observability.progress import begin
from triage.pipeline.calibration import Calibrator, Circumstances
from triage.pipeline.pipeline import Pipeline, PipelineResult
from triage.redaction import Redactor
from triage.server.api import create_app
from triage.server.jobs import Jobs
from triage.store import Store

DIMENSION = 64


class HashingEmbedder:
    """Texts as counts of hashed words: similar words, similar vectors."""

    fingerprint = "hashing-64"

    def __init__(self, fingerprint: str = fingerprint) -> None:
        self.fingerprint = fingerprint
        self.embedded = 0

    async def embed(self, texts: Sequence[str]) -> Vectors:
        self.embedded += len(texts)
        vectors = np.zeros((len(texts), DIMENSION), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in re.findall(r"\w+", text.casefold()):
                vectors[row, int(hashlib.sha256(word.encode()).hexdigest(), 16) % DIMENSION] += 1
        return normalise(vectors)

    async def aclose(self) -> None:
        """Do nothing."""


def pipeline_without_model(casebook: Casebook) -> Pipeline:
    """A pipeline over the history of `casebook` that asks no model and has no calibrator."""
    return Pipeline(casebook.taxonomy, Redactor(), casebook._embedder, casebook.history)


def app_without_model(casebook: Casebook, store: Store, jobs: Jobs, **options: Any) -> FastAPI:
    """The API of a service without a model."""
    return create_app(casebook, store, jobs, Previewer(store, casebook, pipeline_without_model(casebook)), **options)


class KeywordPipeline:
    """Triage by one rule: network words mean infrastructure, else inference engine. Counts what it was asked for.

    A write-up with 'trip the pipeline' makes it fail `failures` times; one with 'slowly' makes it take `slow_s`, after
    a provisional triage.
    """

    def __init__(self, taxonomy: Taxonomy, *, failures: int = 0, slow_s: float = 0.0) -> None:
        self.taxonomy = taxonomy
        self.failures = failures
        self.slow_s = slow_s
        self.seen: list[str] = []
        self.began = asyncio.Event()

    async def run(
        self, incident: Incident, *, on_provisional: Callable[[Triage], Awaitable[None]] | None = None, **_: Any
    ) -> PipelineResult:
        self.seen.append(incident.id)
        if "slowly" in incident.write_up and on_provisional is not None:
            await on_provisional(self._triage(incident).model_copy(update={"is_provisional": True}))
        self.began.set()
        begin("classify")
        if "slowly" in incident.write_up:
            await asyncio.sleep(self.slow_s)
        if "trip the pipeline" in incident.write_up and self.failures > 0:
            self.failures -= 1
            raise RuntimeError("the pipeline tripped")
        return PipelineResult(self._triage(incident), None)

    def _triage(self, incident: Incident) -> Triage:
        found = Evidence.locate("switch", incident.text) or Evidence.locate("network", incident.text)
        label = "infrastructure" if found else "inference_engine"
        category = FacetResult(facet="category", labels=(label,), evidence=(found,) if found else ())
        provenance = Provenance(taxonomy=self.taxonomy.id, taxonomy_version=self.taxonomy.version)
        return Triage(incident_id=incident.id, facets={"category": category}, provenance=provenance)


def outdated_calibrator(data_folder: Path) -> None:
    """Put a calibrator into a data folder that fits neither the version of its taxonomy, nor the embedder."""
    before = Circumstances(taxonomy="cloud_faults@0.0.1", prompts=(), model="none", embedder="another")
    made = Calibrator(circumstances=before, data="suite mine", data_sha256="0" * 64, cases=50, facets={})
    made.write(data_folder / "calibrators" / "mine.json")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port: int = s.getsockname()[1]
        return port


@contextmanager
def served(app: Any) -> Iterator[str]:
    """Serve `app`, after its lifespan has started, over a real socket. Yields the base URL."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=free_port(), log_level="warning", timeout_keep_alive=75)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    assert server.started, "the service did not start, see its log"
    try:
        yield f"http://{server.config.host}:{server.config.port}"
    finally:
        server.should_exit = True
        thread.join(20)


def await_ready(url: str, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/healthz", timeout=2).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise TimeoutError(f"{url} did not come up")


def without_request_id(response: httpx.Response) -> str:
    """The text of a response without what differs between requests."""
    return re.sub(r'"request_id": "[^"]*"', "", response.text)
