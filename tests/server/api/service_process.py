"""A whole service over the test parts, to be run in a process of its own.

Each triage that is begun adds a line to FOLDER/begun.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import uvicorn

from tests.parts import HashingEmbedder, KeywordPipeline, app_without_model
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.pipeline.pipeline import PipelineResult
from triage.redaction import Redactor
from triage.server.jobs import JobOptions, Jobs
from triage.store import Store, upgrade


class Witnessed(KeywordPipeline):
    folder: Path

    async def run(self, incident: Incident, **_: Any) -> PipelineResult:
        with (self.folder / "begun").open("a") as begun:
            begun.write(f"{incident.id}\n")
        return await super().run(incident)


def main(folder: Path, port: int, slow_s: float) -> None:
    url = f"sqlite:///{folder / 'triage.db'}"
    asyncio.run(upgrade(url))
    taxonomy = Taxonomy.load("llm_inference")
    store = Store(url)
    embedder = HashingEmbedder()
    history = ChromaHistory.open(folder / "index", embedder.fingerprint)
    pipeline = Witnessed(taxonomy, slow_s=slow_s)
    pipeline.folder = folder
    jobs = Jobs(store, pipeline, f"sqlite:///{folder / 'jobs.db'}", JobOptions(concurrency=2, polling_s=0.02))
    casebook = Casebook(store, history, Redactor(), embedder, taxonomy)
    app = app_without_model(casebook, store, jobs, taxonomies={taxonomy.id: taxonomy})
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
