"""What a suite examines: the very pipeline that serves, over a history made of the suite's own cases."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime

from triage.domain.incident import Incident
from triage.domain.triage_result import Triage
from triage.evaluation.cases import Case
from triage.history import History
from triage.models.embedding import Embedder
from triage.observability.progress import Progress
from triage.pipeline.pipeline import Pipeline
from triage.redaction import Redactor

_BATCH = 32


class PipelineUnderTest:
    """A pipeline with the empty `history` that it reads from."""

    def __init__(self, pipeline: Pipeline, history: History, redactor: Redactor, embedder: Embedder) -> None:
        self._pipeline = pipeline
        self._history = history
        self._redactor = redactor
        self._embedder = embedder

    async def prepare(self, cases: Sequence[Case], progress: Progress) -> None:
        """Redact, embed and remember `cases` with their gold labels."""
        for start in range(0, len(cases), _BATCH):
            portion = cases[start : start + _BATCH]
            incidents = await asyncio.to_thread(
                lambda batch: [self._redactor.redact_incident(case.incident) for case in batch], portion
            )
            vectors = await self._embedder.embed([incident.text for incident in incidents])
            labels = [case.gold for case in portion]
            await self._history.remember(list(zip(incidents, labels, strict=True)), vectors)
            progress("history", start + len(portion), len(cases))

    async def run(
        self,
        incident: Incident,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
    ) -> Triage:
        """See `Pipeline.run`."""
        return (await self._pipeline.run(incident, exclude=exclude, duplicates=duplicates, as_of=as_of)).triage
