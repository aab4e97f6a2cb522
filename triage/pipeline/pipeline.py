"""The flow of one incident, from write-up to triage, on one page."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from triage.domain.errors import ModelUnavailable, TriageError
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Contrast, FacetResult, Neighbour, Provenance, Triage
from triage.history import History
from triage.history.learned import Distributions, Learner
from triage.history.retrieval import by_likely_label, diverse
from triage.models.chat.fallback import Candidate, Failure, first_to_answer, told
from triage.models.chat.prices import Price
from triage.models.embedding import Embedder, Vectors
from triage.observability.spans import span
from triage.observability.steps import begin
from triage.pipeline.calibration import Calibrator, Circumstances
from triage.pipeline.classification import Answer, Classification, Classifier, Subject, Usage
from triage.pipeline.classification.evidence import locate
from triage.pipeline.classification.instructions import without_instructions_in
from triage.pipeline.classification.likeness import DefinitionReader, Likeness
from triage.pipeline.classification.reading import read
from triage.pipeline.classification.sentences import Sentence, condense
from triage.pipeline.contrast import Contrasted, contrast
from triage.pipeline.decision import FacetRule, decide
from triage.pipeline.mitigation import suggest
from triage.redaction import Redacted, Redactor

STEPS = ("redact", "withhold", "retrieve", "learn", "classify", "contrast", "suggest")
"""The steps of one incident in their order, by the names under which they are told and timed."""


class MadeOtherwise(TriageError):
    """A stored triage that was made in other circumstances than today's, so that the two can't be compared."""

    status = 409
    title = "The triage was made in other circumstances"


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


class Way(NamedTuple):
    """A model, how it is asked and for how long at most, what it reads of a write-up, and what it charges.

    Its `calibrator` must have been fitted for it: another model's would make its probabilities false.
    """

    model: str
    classifier: Classifier
    calibrator: Calibrator | None = None
    write_up_characters: int = 24_000
    most_s: float = math.inf
    price: Price | None = None


class Pipeline:
    """Triage of incidents with one taxonomy, one model and one history. Stores nothing.

    With a `calibrator` the probabilities are calibrated and a facet abstains where it is not sure enough; raises
    `MisconfiguredService` if it was fitted for another taxonomy, prompt, model, embedder or decision rule.

    Where the model gives no answer the `fallbacks` are asked, one after the other. All that is asked of models for one
    incident ends `deadline_s` after its turn came (see `first_to_answer`); without it each call has its own deadline.
    `most_s` bounds the share of the first model, and `price` is what it charges. `definitions` compares write-ups with
    the definitions of `taxonomy`; without it a new reader embeds them first.
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
        *,
        fallbacks: Sequence[Way] = (),
        deadline_s: float | None = None,
        most_s: float = math.inf,
        price: Price | None = None,
        definitions: DefinitionReader | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.redactor = redactor
        self.embedder = embedder
        self.history = history
        self._classifier = classifier
        self._model_name = model_name
        self._options = options or PipelineOptions()
        characters = self._options.write_up_characters
        first = Way(model_name or "none", classifier, calibrator, characters, most_s, price) if classifier else None
        self._ways = (first, *fallbacks) if first else ()
        self._deadline_s = deadline_s
        self._rules = [
            way.calibrator.rules(circumstances(taxonomy, embedder, way.classifier, way.model)) if way.calibrator else {}
            for way in self._ways
        ]
        # Without a model by choice a calibrator was fitted for just that.
        self._alone = calibrator if classifier is None else None
        now = circumstances(taxonomy, embedder, None, model_name)
        self._rules_alone = self._alone.rules(now) if self._alone else {}
        self._turns = asyncio.Semaphore(self._options.turns)
        self._learner = Learner()
        self.definitions = definitions or DefinitionReader(embedder, taxonomy)

    @property
    def neighbours(self) -> int:
        """How many neighbours of an incident are looked up."""
        return self._options.neighbours

    async def run(
        self,
        incident: Incident,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
        teams: Collection[str] | None = None,
        embedded: dict[str, Vectors] | None = None,
    ) -> Triage:
        """Triage one incident. The incident itself and the ids in `exclude` are never among its neighbours.

        `teams` are those whose history it may know, None stands for all. The vector of its whole redacted text is put
        into `embedded` under its id, if it was made.

        With `duplicates=False` near-duplicates are left out too. With `as_of` it is triaged as it could have been at
        that moment: with the incidents that had begun before, and without the sentences that tell how this one ended.
        An unreachable model doesn't raise: the answer then comes from the history and the definitions alone and is
        marked degraded.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "redact"):
            redacted = await asyncio.to_thread(self.redactor.redact, incident.text)
        with _timed(seconds, "withhold"):
            reading = await asyncio.to_thread(read, redacted.text, self.taxonomy, before_its_end=as_of is not None)
            sentences, told = reading.sentences, reading.text
        with _timed(seconds, "retrieve"):
            vector = (await self.embedder.embed([told]))[0]
            if embedded is not None and reading.is_whole:
                embedded[incident.id] = vector
            hidden = {incident.id, *exclude}
            neighbours = await self.history.neighbours(
                told,
                vector,
                self._options.neighbours,
                exclude=hidden,
                duplicates=duplicates,
                as_of=as_of,
                teams=teams,
            )
            # A near-duplicate is shown and flagged, but teaches nothing: one wrong label on a copy must not decide.
            examples = await self.history.examples(told, exclude=hidden, duplicates=False, as_of=as_of, teams=teams)
        with _timed(seconds, "learn"):
            likeness = await self.definitions.read(sentences, examples)
            learned = await asyncio.to_thread(self._learner.distributions, self.taxonomy, examples, told, vector)
            for facet, distribution in likeness.distributions.items():
                learned.setdefault(facet, {})["definitions"] = distribution
        with _timed(seconds, "classify"):
            said = await self._say(sentences, neighbours, learned)
        facets, dropped = _with_evidence(said.facets, said.quotes, likeness, redacted)
        kind = self.taxonomy.triaged[0].id
        likely = {one.label: one.probability for one in facets[kind].distribution}
        shown = by_likely_label(neighbours, kind, likely)[: self._options.shown_neighbours]
        with _timed(seconds, "contrast"):
            contrasted = await contrast(facets[kind], vector, examples, likeness, self.definitions)
        with _timed(seconds, "suggest"):
            suggestions = suggest(self.taxonomy, neighbours, facets, examples)
        return Triage(
            incident_id=incident.id,
            facets=facets,
            neighbours=tuple(shown),
            contrast=_located(contrasted, redacted),
            suggestions=tuple(suggestions),
            degraded=said.degraded_reason is not None,
            degraded_reason=said.degraded_reason,
            provenance=Provenance(
                taxonomy=self.taxonomy.id,
                taxonomy_version=self.taxonomy.version,
                prompts=said.way.classifier.prompts if said.way else (),
                model=said.way.model if said.way else self._model_name,
                embedder=self.embedder.fingerprint,
                calibrator=said.calibrator.name if said.calibrator else None,
                history_size=await self.history.size(),
                redactions=redacted.counts,
                **said.usage.provenance,
                cost=said.cost,
                model_deadline_s=self._deadline_s,
                dropped_quotes=dropped,
                was_condensed=said.was_condensed,
                withheld_sentences=reading.withheld,
                as_of=as_of,
                seconds=seconds,
            ),
        )

    def decide_again(
        self, triage: Triage, neighbours: Sequence[Neighbour], learned: Mapping[str, Distributions]
    ) -> dict[str, FacetResult]:
        """What a stored triage would be with these neighbours, and this learned of the history and the definitions.

        The model is not asked: its answers are those that the triage keeps. Raises `MadeOtherwise` where the triage was
        made in other circumstances than those of today.
        """
        rules = self.rules_of(triage)
        answers = {
            facet: Answer(
                distribution=result.sources["model"],
                prior=result.sources.get("prior", {}),
                rationale=result.rationale,
            )
            for facet, result in triage.facets.items()
            if "model" in result.sources
        }
        return decide(self.taxonomy, answers, neighbours, learned, rules)

    def rules_of(self, triage: Triage) -> Mapping[str, FacetRule]:
        """The rules by which a stored triage was decided. Raises `MadeOtherwise` where they are not those of today."""
        made = triage.provenance
        is_answered = any("model" in result.sources for result in triage.facets.values())
        place = next((n for n, way in enumerate(self._ways) if is_answered and way.model == made.model), None)
        way = None if place is None else self._ways[place]
        if is_answered and way is None:
            raise MadeOtherwise(f"Its model was {made.model}, which is not in use.", what="model")
        calibrator = way.calibrator if way else self._alone
        differences = {
            "taxonomy": (f"{made.taxonomy} {made.taxonomy_version}", f"{self.taxonomy.id} {self.taxonomy.version}"),
            "embedder": (made.embedder, self.embedder.fingerprint),
            "prompts": (", ".join(made.prompts), ", ".join(way.classifier.prompts)) if way else ("", ""),
            "calibrator": (made.calibrator or "none", calibrator.name if calibrator else "none"),
            "moment": (f"as of {made.as_of}" if made.as_of else "now", "now"),
        }
        for what, (then, now) in differences.items():
            if then != now:
                raise MadeOtherwise(f"Its {what} was {then or 'not recorded'}, and is {now}.", what=what)
        return self._rules_alone if place is None else self._rules[place]

    async def prepare(self) -> None:
        """Let the model do beforehand what the first incident would wait for. Raises `ModelUnavailable`."""
        await self.definitions.prepare()
        if self._classifier is not None:
            async with self._turns:
                await self._classifier.prepare(self.taxonomy)

    async def _say(
        self, sentences: list[Sentence], neighbours: list[Neighbour], learned: dict[str, Distributions]
    ) -> _Said:
        """What the first model that answers says; without one, what the history and the definitions say alone."""

        async def ask(place: int) -> _Said:
            way = self._ways[place]
            subject = await asyncio.to_thread(self._subject, sentences, neighbours, way.write_up_characters)
            facets, quotes, usage = await self._classify(way, subject, neighbours, learned, self._rules[place])
            was_condensed = len(subject.sentences) < len(sentences)
            return _Said(facets, quotes, usage, way, way.calibrator, was_condensed=was_condensed)

        try:
            if not self._ways:
                raise ModelUnavailable("No chat model is set (TRIAGE_MODEL=none).")
            async with self._turns:
                candidates = [Candidate(way.model, way.most_s) for way in self._ways]
                said, _, failures = await first_to_answer(candidates, ask, self._deadline_s)
        except ModelUnavailable as error:
            facets = decide(self.taxonomy, {}, neighbours, learned, self._rules_alone)
            reason = f"{error.detail} The labels come from the history and the definitions alone."
            return _Said(facets, {}, Usage(), self._ways[0] if self._ways else None, self._alone, reason)
        return said._replace(degraded_reason=self._stood_in(said, failures)) if failures else said

    def _stood_in(self, said: _Said, failures: Sequence[Failure]) -> str:
        """Who failed, why, and who answered instead."""
        uncalibrated = (
            " Its probabilities are not calibrated." if self._ways[0].calibrator and not said.calibrator else ""
        )
        by = said.way.model if said.way else "none"
        return f"{told(failures)} The answer is that of {by} in its place.{uncalibrated}"

    def _subject(self, sentences: list[Sentence], neighbours: list[Neighbour], characters: int) -> Subject:
        """What a model is shown: as much as it may read, and the neighbours without what reads as an order to it."""
        read = condense(sentences, characters)
        shown = diverse(neighbours, self._options.shown_neighbours, self.taxonomy.triaged[0].id)
        return Subject(
            sentences=tuple(read), neighbours=tuple(without_instructions_in(n, self.taxonomy) for n in shown)
        )

    async def _classify(
        self,
        way: Way,
        subject: Subject,
        neighbours: list[Neighbour],
        learned: dict[str, Distributions],
        rules: Mapping[str, FacetRule],
    ) -> tuple[dict[str, FacetResult], dict[str, tuple[str, ...]], Usage]:
        """The decided facets, the model's quotes by facet, and what asking took."""
        said: Classification = await way.classifier.classify(subject, self.taxonomy)
        with span("decide"):
            facets = decide(self.taxonomy, said.answers, neighbours, learned, rules)
        quotes = {facet_id: answer.quotes for facet_id, answer in said.answers.items() if answer.quotes}
        usage = said.usage
        if self._options.ask_for_quotes:
            missing = {f.facet: f.labels for f in facets.values() if f.labels and f.facet not in quotes}
            asked, used = await way.classifier.quote(subject, self.taxonomy, missing)
            quotes |= asked
            usage += used
        return facets, quotes, usage


class _Said(NamedTuple):
    """The decided facets, where they come from, and what asking took. `way` is the first one where none answered."""

    facets: dict[str, FacetResult]
    quotes: dict[str, tuple[str, ...]]
    usage: Usage
    way: Way | None
    calibrator: Calibrator | None = None
    degraded_reason: str | None = None
    was_condensed: bool = False

    @property
    def cost(self) -> float | None:
        """US dollars for what was paid for; None where the price is unknown or no model answered."""
        if self.way is None or self.way.price is None or not self.usage.calls:
            return None
        paid = self.usage
        return self.way.price.of(
            paid.prompt_tokens - paid.cached_prompt_tokens, paid.completion_tokens - paid.cached_completion_tokens
        )


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
    with span(step):
        yield
    seconds[step] = round(time.perf_counter() - start, 4)
