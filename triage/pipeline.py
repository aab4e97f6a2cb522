"""The flow of one incident, from write-up to triage, on one page."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from triage.calibration import Calibrator, Circumstances
from triage.classification import Classification, Classifier, Subject, Usage
from triage.classification.evidence import locate
from triage.classification.instructions import without_instructions, without_instructions_in
from triage.classification.likeness import DefinitionReader, Likeness
from triage.classification.sentences import Sentence, before_resolution, condense, split
from triage.contrast import Contrasted, contrast
from triage.decision import decide
from triage.embedding import Embedder
from triage.errors import ModelUnavailable
from triage.history import History
from triage.history.learned import Distributions, Learner
from triage.history.retrieval import by_likely_label, diverse
from triage.incident import Incident
from triage.mitigation import suggest
from triage.redaction import Redacted, Redactor
from triage.steps import begin
from triage.taxonomy import Taxonomy
from triage.triage_result import Contrast, FacetResult, Neighbour, Provenance, Triage


class PipelineOptions(NamedTuple):
    """What a caller may tune.

    `write_up_characters` bounds what the model reads; `turns` is how many incidents it may be asked about at once (1
    for a local model, whose cached prefix they share). With `ask_for_quotes` a model that answers with letters is asked
    for the evidence too, else the sentence most like the label's definition is taken.
    """

    neighbours: int = 10
    shown_neighbours: int = 5
    write_up_characters: int = 24_000
    turns: int = 16
    ask_for_quotes: bool = False


class Pipeline:
    """Triage of incidents with one taxonomy, one model and one history. Stores nothing.

    With a `calibrator` the probabilities are calibrated and a facet abstains where it is not sure enough; raises
    `MisconfiguredService` if it was fitted for another taxonomy, prompt, model, embedder or decision rule.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        redactor: Redactor,
        embedder: Embedder,
        history: History,
        classifier: Classifier | None,
        model_name: str | None = None,
        options: PipelineOptions | None = None,
        calibrator: Calibrator | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self._redactor = redactor
        self._embedder = embedder
        self._history = history
        self._classifier = classifier
        self._model_name = model_name
        self._options = options or PipelineOptions()
        now = circumstances(taxonomy, embedder, classifier, model_name)
        self._rules = calibrator.rules(now) if calibrator else {}
        self._calibrator_name = calibrator.name if calibrator else None
        self._turns = asyncio.Semaphore(self._options.turns)
        self._learner = Learner()
        self._definitions = DefinitionReader(embedder, taxonomy)

    async def run(
        self,
        incident: Incident,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
    ) -> Triage:
        """Triage one incident. The incident itself and the ids in `exclude` are never among its neighbours.

        With `duplicates=False` near-duplicates are left out too. With `as_of` it is triaged as it could have been at
        that moment: with the incidents that had begun before, and without the sentences that tell how this one ended.
        An unreachable model doesn't raise: the answer then comes from the history and the definitions alone and is
        marked degraded.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "redact"):
            redacted = await asyncio.to_thread(self._redactor.redact, incident.text)
        with _timed(seconds, "withhold"):
            sentences, withheld = await asyncio.to_thread(without_instructions, split(redacted.text), self.taxonomy)
            if as_of is not None:
                sentences = before_resolution(sentences)
            # An order names labels: it must not draw in neighbours, nor count as words of the incident.
            is_whole = not withheld and as_of is None
            told = redacted.text if is_whole else "\n".join(sentence.text for sentence in sentences)
        with _timed(seconds, "retrieve"):
            vector = (await self._embedder.embed([told]))[0]
            hidden = {incident.id, *exclude}
            neighbours = await self._history.neighbours(
                told, vector, self._options.neighbours, exclude=hidden, duplicates=duplicates, as_of=as_of
            )
            # A near-duplicate is shown and flagged, but teaches nothing: one wrong label on a copy must not decide.
            examples = await self._history.examples(told, exclude=hidden, duplicates=False, as_of=as_of)
        with _timed(seconds, "learn"):
            likeness = await self._definitions.read(sentences, examples)
            learned = await asyncio.to_thread(self._learner.distributions, self.taxonomy, examples, told, vector)
            for facet, distribution in likeness.distributions.items():
                learned.setdefault(facet, {})["definitions"] = distribution
        subject = await asyncio.to_thread(self._subject, sentences, neighbours)
        degraded_reason = None
        with _timed(seconds, "classify"):
            try:
                facets, quotes, usage = await self._classify(subject, neighbours, learned)
            except ModelUnavailable as error:
                facets, quotes, usage = decide(self.taxonomy, {}, neighbours, learned, self._rules), {}, Usage()
                degraded_reason = f"{error.detail} The labels come from the history and the definitions alone."
        facets, dropped = _with_evidence(facets, quotes, likeness, redacted)
        kind = self.taxonomy.triaged[0].id
        likely = {one.label: one.probability for one in facets[kind].distribution}
        shown = by_likely_label(neighbours, kind, likely)[: self._options.shown_neighbours]
        with _timed(seconds, "contrast"):
            contrasted = await contrast(facets[kind], vector, examples, likeness, self._definitions)
        return Triage(
            incident_id=incident.id,
            facets=facets,
            neighbours=tuple(shown),
            contrast=_located(contrasted, redacted),
            suggestions=tuple(suggest(self.taxonomy, neighbours, facets, examples)),
            degraded=degraded_reason is not None,
            degraded_reason=degraded_reason,
            provenance=Provenance(
                taxonomy=self.taxonomy.id,
                taxonomy_version=self.taxonomy.version,
                prompts=self._classifier.prompts if self._classifier else (),
                model=self._model_name,
                embedder=self._embedder.fingerprint,
                calibrator=self._calibrator_name,
                history_size=await self._history.size(),
                redactions=redacted.counts,
                **usage.provenance,
                dropped_quotes=dropped,
                was_condensed=len(subject.sentences) < len(sentences),
                withheld_sentences=withheld,
                as_of=as_of,
                seconds=seconds,
            ),
        )

    async def prepare(self) -> None:
        """Let the model do beforehand what the first incident would wait for. Raises `ModelUnavailable`."""
        await self._definitions.prepare()
        if self._classifier is not None:
            async with self._turns:
                await self._classifier.prepare(self.taxonomy)

    def _subject(self, sentences: list[Sentence], neighbours: list[Neighbour]) -> Subject:
        """What the model is shown: as much as it may read, and the neighbours without what reads as an order to it."""
        read = condense(sentences, self._options.write_up_characters)
        shown = diverse(neighbours, self._options.shown_neighbours, self.taxonomy.triaged[0].id)
        return Subject(
            sentences=tuple(read), neighbours=tuple(without_instructions_in(n, self.taxonomy) for n in shown)
        )

    async def _classify(
        self, subject: Subject, neighbours: list[Neighbour], learned: dict[str, Distributions]
    ) -> tuple[dict[str, FacetResult], dict[str, tuple[str, ...]], Usage]:
        """The decided facets, the model's quotes by facet, and what asking took."""
        if self._classifier is None:
            raise ModelUnavailable("No chat model is set (TRIAGE_MODEL=none).")
        async with self._turns:
            said: Classification = await self._classifier.classify(subject, self.taxonomy)
            facets = decide(self.taxonomy, said.answers, neighbours, learned, self._rules)
            quotes = {facet_id: answer.quotes for facet_id, answer in said.answers.items() if answer.quotes}
            usage = said.usage
            if self._options.ask_for_quotes:
                missing = {f.facet: f.labels for f in facets.values() if f.labels and f.facet not in quotes}
                asked, used = await self._classifier.quote(subject, self.taxonomy, missing)
                quotes |= asked
                usage += used
        return facets, quotes, usage


def circumstances(
    taxonomy: Taxonomy, embedder: Embedder, classifier: Classifier | None, model_name: str | None
) -> Circumstances:
    """What a calibrator must have been fitted for to fit these parts."""
    return Circumstances(
        taxonomy=f"{taxonomy.id}@{taxonomy.version}",
        prompts=classifier.prompts if classifier else (),
        model=model_name or "none",
        embedder=embedder.fingerprint,
    )


def _located(contrasted: Contrasted | None, redacted: Redacted) -> Contrast | None:
    """The contrast with the place of its sentence in the original write-up."""
    if contrasted is None:
        return None
    found = locate([contrasted.sentence.text], redacted) if contrasted.sentence else ()
    return contrasted.contrast.model_copy(update={"evidence": found[0] if found else None})


def _with_evidence(
    facets: Mapping[str, FacetResult], quotes: Mapping[str, tuple[str, ...]], likeness: Likeness, redacted: Redacted
) -> tuple[dict[str, FacetResult], int]:
    """The results with the quotes that really stand in the write-up, and how many did not.

    Where the model gave none that does, the sentence most like the label's definition takes its place.
    """
    results, dropped = {}, 0
    for facet_id, facet in facets.items():
        found = locate(quotes.get(facet_id, ()), redacted)
        dropped += len(quotes.get(facet_id, ())) - len(found)
        if not found and facet.labels:
            sentence = likeness.evidence(facet_id, facet.labels[0])
            found = locate([sentence.text], redacted) if sentence else ()
        results[facet_id] = facet.model_copy(update={"evidence": found})
    return results, dropped


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    begin(step)
    start = time.perf_counter()
    yield
    seconds[step] = round(time.perf_counter() - start, 4)
