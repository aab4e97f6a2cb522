"""A casebook with a history, a pipeline over it, and incidents that were triaged as the queue does it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.parts import HashingEmbedder
from triage.domain.annotation import Annotation, Labels
from triage.domain.correction_preview import Preview
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, Triage
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.labels.preview import Previewer, PreviewOptions
from triage.pipeline.pipeline import Pipeline
from triage.redaction import Redactor
from triage.store import Store, upgrade

TAXONOMY = Taxonomy.load("llm_inference")
EVERYTHING = PreviewOptions(least_shift=0.0, seconds=float("inf"))
"""Every facet of every incident is told of, whatever time that takes."""

POWER = "A breaker tripped in hall {n} and racks lost power until the generators of building {n} started for team {m}"
DEPLOY = "A release of service {n} went to region {n} with a broken setting and was rolled back by team {m}"
CACHE = "The cache of shard {n} ran out of memory and requests of tenant {m} timed out until it was restarted"
KINDS: tuple[tuple[str, Labels], ...] = (
    (POWER, {"category": ("infrastructure",), "failure_mode": ("power_cooling",), "mitigation": ("failover",)}),
    (DEPLOY, {"category": ("operational",), "failure_mode": ("deployment",), "mitigation": ("rollback",)}),
    (CACHE, {"category": ("inference_engine",), "failure_mode": ("resource_exhaustion",), "mitigation": ("restart",)}),
)


def text(kind: int, n: int) -> str:
    """A write-up of one of the kinds, told a little otherwise each time."""
    extra = ("at night", "during a test", "in the morning", "after a holiday", "once more")[n % 5]
    return f"{KINDS[kind][0].format(n=n, m=n % 7)} {extra}."


@dataclass(frozen=True)
class Desk:
    """What a service has at hand."""

    store: Store
    casebook: Casebook
    pipeline: Pipeline
    previewer: Previewer
    embedder: HashingEmbedder

    async def triage(self, incident_id: str, write_up: str, team: str = "default") -> Triage:
        """Take an incident in and triage it as a job does."""
        incident = Incident(id=incident_id, write_up=write_up)
        await self.casebook.accept(incident, team)
        return await self.again(incident, team, keeps=True)

    async def again(self, incident: Incident, team: str = "default", *, keeps: bool = False) -> Triage:
        """Triage an incident with the history as it is now."""
        triage, vector = await self.pipeline.run(incident, teams={team, SHARED_TEAM})
        if keeps:
            await self.store.triages.save(uuid.uuid4().hex, triage, vector)
        return triage

    async def decided(self, incident_ids: Iterable[str], *, keeps: bool = False) -> dict[str, dict[str, FacetResult]]:
        """What would be decided of incidents now."""
        stored = await self.store.incidents.find_many(list(incident_ids))
        return {key: (await self.again(one.incident, one.team, keeps=keeps)).facets for key, one in stored.items()}

    async def preview(self, incident_id: str, *annotations: Annotation, **options: Any) -> Preview:
        """Preview a correction, and look at everything."""
        return await self.previewer.preview(incident_id, annotations, options=EVERYTHING._replace(**options))


def gold(incident_id: str, facet: str, *labels: str, **values: Any) -> Annotation:
    usual = {"incident_id": incident_id, "annotator": "ada", "is_gold": True}
    return Annotation(facet=facet, labels=labels, **usual | values)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """A history of 30 incidents of three kinds, and no model."""
    database = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(database)
    store, embedder = Store(database), HashingEmbedder()
    history = ChromaHistory.open(None, embedder.fingerprint)
    casebook = Casebook(store, history, Redactor(), embedder, TAXONOMY)
    records = [(Incident(id=f"h{n}", write_up=text(n % 3, n)), KINDS[n % 3][1]) for n in range(30)]
    await casebook.import_history(records, "the project", "derived", team=SHARED_TEAM)
    pipeline = Pipeline(TAXONOMY, Redactor(), embedder, history)
    yield Desk(store, casebook, pipeline, Previewer(store, casebook, pipeline), embedder)
    history.close()
    await store.close()
