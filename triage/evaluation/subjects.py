"""What a suite examines: the pipeline that serves, or the chat model alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from triage.domain.errors import UnusableAnswer
from triage.domain.incident import Incident
from triage.domain.lines import clean_text
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.evaluation.datasets import Case
from triage.history import History
from triage.models.embedding import Embedder
from triage.observability.progress import Progress
from triage.pipeline.classification import Classification, Classifier, Subject, whole
from triage.pipeline.classification.evidence import locate
from triage.pipeline.classification.sentences import before_resolution, condense, split
from triage.pipeline.decision import decide
from triage.pipeline.pipeline import Pipeline
from triage.redaction import Redacted, Redactor

_BATCH = 32


class PipelineUnderTest:
    """A pipeline and the history that it reads, empty at first."""

    def __init__(self, pipeline: Pipeline, history: History, redactor: Redactor, embedder: Embedder) -> None:
        self._pipeline = pipeline
        self._history = history
        self._redactor = redactor
        self._embedder = embedder

    async def prepare(self, cases: Sequence[Case], progress: Progress) -> None:
        """Redact and embed `cases`, and add them to the history with their gold labels."""
        for start in range(0, len(cases), _BATCH):
            portion = cases[start : start + _BATCH]
            incidents = await asyncio.to_thread(
                lambda batch: [self._redactor.redact_incident(case.incident) for case in batch], portion
            )
            vectors = await self._embedder.embed([clean_text(incident.text) for incident in incidents])
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


_LONG_CHARACTERS = 4_000
"""Longer texts are redacted in a thread: they would block the event loop for milliseconds."""


class ModelUnderTest:
    """The baseline: a zero-shot prompted model without history or learned sources, whose answer is the decision.

    Write-ups are redacted and shortened to `write_up_characters`; prompt injections are not removed. An unreachable
    model raises `ModelUnavailable`, since there is no fallback. An unusable answer counts as an abstention.
    """

    def __init__(
        self, taxonomy: Taxonomy, redactor: Redactor, classifier: Classifier, model_name: str, write_up_characters: int
    ) -> None:
        self._taxonomy = taxonomy
        self._redactor = redactor
        self._classifier = classifier
        self._model_name = model_name
        self._write_up_characters = write_up_characters

    async def prepare(self, cases: Sequence[Case], progress: Progress) -> None:  # noqa: ARG002
        """Prepare the classifier; `cases` are ignored. Raises `ModelUnavailable`."""
        await self._classifier.prepare(self._taxonomy)

    async def run(self, incident: Incident, *, as_of: datetime | None = None, **_: Any) -> Triage:
        """Triage one incident. With `as_of` the model does not read how it ended."""
        started = time.perf_counter()
        redacted = await self._redacted(incident.text)
        sentences = split(redacted.text)
        if as_of is not None:
            sentences = before_resolution(sentences)
        read = condense(sentences, self._write_up_characters)
        asked = time.perf_counter()
        unusable = None
        try:
            classification = await whole(self._classifier.classify(Subject(sentences=tuple(read)), self._taxonomy))
        except UnusableAnswer as error:
            classification, unusable = Classification(), error.detail
        answered = time.perf_counter()
        quotes = {facet: answer.quotes for facet, answer in classification.answers.items()}
        facets = {
            facet: result.model_copy(update={"evidence": locate(quotes.get(facet, ()), redacted)})
            for facet, result in decide(self._taxonomy, classification.answers, ()).items()
        }
        if unusable is not None:
            facets = {
                facet.id: FacetResult(facet=facet.id, labels=(), abstention=unusable)
                for facet in self._taxonomy.triaged
            }
        found = sum(len(result.evidence) for result in facets.values())
        return Triage(
            incident_id=incident.id,
            facets=facets,
            provenance=Provenance(
                taxonomy=self._taxonomy.id,
                taxonomy_version=self._taxonomy.version,
                prompts=self._classifier.prompts,
                model=self._model_name,
                redactions=redacted.counts,
                **classification.usage.model_dump(),
                dropped_quotes=sum(map(len, quotes.values())) - found,
                was_condensed=len(read) < len(sentences),
                as_of=as_of,
                seconds={"redact": round(asked - started, 4), "classify": round(answered - asked, 4)},
            ),
        )

    async def _redacted(self, text: str) -> Redacted:
        if len(text) <= _LONG_CHARACTERS:
            return self._redactor.redact(text)
        return await asyncio.to_thread(self._redactor.redact, text)
