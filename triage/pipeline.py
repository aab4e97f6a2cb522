"""The flow of one incident, from write-up to triage, on one page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from triage.classification import Classification, Classifier, Subject, Usage
from triage.classification.evidence import locate
from triage.classification.instructions import without_instructions, without_instructions_in
from triage.classification.sentences import Sentence, condense, split
from triage.decision import decide
from triage.embedding import Embedder
from triage.errors import ModelUnavailable
from triage.history import History
from triage.history.learned import Distributions, Learner
from triage.incident import Incident
from triage.mitigation import suggest
from triage.redaction import Redacted, Redactor
from triage.taxonomy import Taxonomy
from triage.triage_result import FacetResult, Neighbour, Provenance, Triage


class PipelineOptions(NamedTuple):
    """What a caller may tune. `write_up_characters` bounds what the model reads; `turns` is how many incidents it may
    be asked about at once (1 for a local model, whose cached prefix they share)."""

    neighbours: int = 10
    shown_neighbours: int = 5
    write_up_characters: int = 24_000
    turns: int = 16
    ask_for_quotes: bool = True


class Pipeline:
    """Triage of incidents with one taxonomy, one model and one history. Stores nothing."""

    def __init__(
        self,
        taxonomy: Taxonomy,
        redactor: Redactor,
        embedder: Embedder,
        history: History,
        classifier: Classifier | None,
        model_name: str | None = None,
        options: PipelineOptions | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self._redactor = redactor
        self._embedder = embedder
        self._history = history
        self._classifier = classifier
        self._model_name = model_name
        self._options = options or PipelineOptions()
        self._turns = asyncio.Semaphore(self._options.turns)
        self._learner = Learner()

    async def run(self, incident: Incident, *, exclude: Collection[str] = (), duplicates: bool = True) -> Triage:
        """Triage one incident. The incident itself and the ids in `exclude` are never among its neighbours.

        With `duplicates=False` near-duplicates are left out too. An unreachable model doesn't raise: the answer then
        comes from the history alone and is marked degraded.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "redact"):
            redacted = await asyncio.to_thread(self._redactor.redact, incident.text)
        with _timed(seconds, "withhold"):
            sentences, withheld = await asyncio.to_thread(without_instructions, split(redacted.text), self.taxonomy)
            # An order names labels: it must not draw in neighbours, nor count as words of the incident.
            told = "\n".join(sentence.text for sentence in sentences) if withheld else redacted.text
        with _timed(seconds, "retrieve"):
            vector = (await self._embedder.embed([told]))[0]
            excluded = {incident.id, *exclude}
            neighbours = await self._history.neighbours(
                told, vector, self._options.neighbours, exclude=excluded, duplicates=duplicates
            )
        with _timed(seconds, "learn"):
            examples = await self._history.examples(told, exclude=excluded, duplicates=duplicates)
            learned = await asyncio.to_thread(self._learner.distributions, self.taxonomy, examples, told, vector)
        subject = await asyncio.to_thread(self._subject, sentences, neighbours)
        degraded_reason = None
        with _timed(seconds, "classify"):
            try:
                facets, usage, dropped = await self._classify(subject, redacted, neighbours, learned)
            except ModelUnavailable as error:
                facets, usage, dropped = decide(self.taxonomy, {}, neighbours, learned), Usage(), 0
                degraded_reason = f"{error.detail} The labels come from the history alone."
        return Triage(
            incident_id=incident.id,
            facets=facets,
            neighbours=tuple(neighbours[: self._options.shown_neighbours]),
            suggestions=tuple(suggest(self.taxonomy, neighbours, facets)),
            degraded=degraded_reason is not None,
            degraded_reason=degraded_reason,
            provenance=Provenance(
                taxonomy=self.taxonomy.id,
                taxonomy_version=self.taxonomy.version,
                prompts=self._classifier.prompts if self._classifier else (),
                model=self._model_name,
                embedder=self._embedder.fingerprint,
                history_size=await self._history.size(),
                redactions=redacted.counts,
                prompt_tokens=usage.prompt_tokens,
                completion_tokens=usage.completion_tokens,
                model_calls=usage.calls,
                retries=usage.retries,
                dropped_quotes=dropped,
                was_condensed=len(subject.sentences) < len(sentences),
                withheld_sentences=withheld,
                seconds=seconds,
            ),
        )

    async def prepare(self) -> None:
        """Let the model do beforehand what the first incident would wait for. Raises `ModelUnavailable`."""
        if self._classifier is not None:
            async with self._turns:
                await self._classifier.prepare(self.taxonomy)

    def _subject(self, sentences: list[Sentence], neighbours: list[Neighbour]) -> Subject:
        """What the model is shown: as much as it may read, and the neighbours without what reads as an order to it."""
        read = condense(sentences, self._options.write_up_characters)
        shown = neighbours[: self._options.shown_neighbours]
        return Subject(
            sentences=tuple(read), neighbours=tuple(without_instructions_in(n, self.taxonomy) for n in shown)
        )

    async def _classify(
        self,
        subject: Subject,
        redacted: Redacted,
        neighbours: list[Neighbour],
        learned: dict[str, Distributions],
    ) -> tuple[dict[str, FacetResult], Usage, int]:
        if self._classifier is None:
            raise ModelUnavailable("No chat model is set (TRIAGE_MODEL=none).")
        async with self._turns:
            said: Classification = await self._classifier.classify(subject, self.taxonomy)
            facets = decide(self.taxonomy, said.answers, neighbours, learned)
            quotes = {facet_id: answer.quotes for facet_id, answer in said.answers.items() if answer.quotes}
            usage = said.usage
            if self._options.ask_for_quotes:
                missing = {f.facet: f.labels for f in facets.values() if f.labels and f.facet not in quotes}
                asked, used = await self._classifier.quote(subject, self.taxonomy, missing)
                quotes |= asked
                usage += used
        facets, dropped = _with_evidence(facets, quotes, redacted)
        return facets, usage, dropped


def _with_evidence(
    facets: Mapping[str, FacetResult], quotes: Mapping[str, tuple[str, ...]], redacted: Redacted
) -> tuple[dict[str, FacetResult], int]:
    """The results with the quotes that really stand in the write-up, and how many did not."""
    located = {facet_id: locate(quotes.get(facet_id, ()), redacted) for facet_id in facets}
    dropped = sum(len(quotes.get(facet_id, ())) - len(spans) for facet_id, spans in located.items())
    return {k: f.model_copy(update={"evidence": located[k]}) for k, f in facets.items()}, dropped


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[step] = round(time.perf_counter() - start, 4)
