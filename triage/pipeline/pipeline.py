"""The flow of one incident: `Pipeline.run` takes a write-up and returns its triage."""

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
from triage.history.retrieval import by_likely_label, diverse
from triage.models.chat.fallback import Candidate, Failure, describe_failures, first_to_answer
from triage.models.chat.prices import Price
from triage.models.embedding import Embedder, Vectors
from triage.observability.progress import begin
from triage.observability.spans import span
from triage.pipeline.calibration import UNCALIBRATED, Calibration, Circumstances
from triage.pipeline.classification import Answer, Classifier, Subject, Usage
from triage.pipeline.classification.evidence import locate, show
from triage.pipeline.classification.instructions import readable_text, without_instructions_in
from triage.pipeline.classification.likeness import DefinitionReader, Likeness
from triage.pipeline.classification.linear_models import Distributions, Learner
from triage.pipeline.classification.sentences import Sentence, condense
from triage.pipeline.classification.sufficiency import TOO_LITTLE, is_too_little, without_kind
from triage.pipeline.contrast import Contrasted, contrast
from triage.pipeline.decision import FacetRule, decide
from triage.pipeline.mitigation import suggest
from triage.redaction import Redacted, Redactor

STEPS = ("redact", "withhold", "retrieve", "learn", "classify", "contrast", "suggest")
"""The steps of one incident in order, by the names under which they are reported and timed."""


class MadeOtherwise(TriageError):
    """A stored triage was made in other circumstances than today's, so the two can't be compared."""

    status = 409
    title = "The triage was made in other circumstances"


class PipelineOptions(NamedTuple):
    """What a caller may tune.

    `turns` is how many incidents a model may be asked about at once: 1 for a local model, whose cached prompt prefix
    they share. With `ask_for_quotes` a model that answers with letters is also asked for evidence. Without it, the
    evidence is the sentence that shows the label best.
    """

    neighbours: int = 10
    shown_neighbours: int = 5
    turns: int = 16
    ask_for_quotes: bool = False


DEFAULT_OPTIONS = PipelineOptions()


class Way(NamedTuple):
    """A way to an answer: a model, how to ask it, and how to calibrate its answers.

    The model reads at most `write_up_characters` of a write-up, and is asked for at most `most_s` seconds where another
    way follows. `calibration` must have been fitted for this model. `price` is None where it is unknown.
    """

    model: str
    classifier: Classifier
    calibration: Calibration = UNCALIBRATED
    write_up_characters: int = 24_000
    most_s: float = math.inf
    price: Price | None = None


class PipelineResult(NamedTuple):
    """A triage, and the vector of the redacted write-up: shape (dimension,), None where sentences were left out."""

    triage: Triage
    vector: Vectors | None


class Pipeline:
    """Triages incidents with one taxonomy and one history. Stores nothing.

    `ways` are tried in order until a model answers, within `deadline_s` seconds in all (see `first_to_answer`). Without
    `deadline_s` each call has its own deadline. Where no model answers, the history and the definitions decide alone,
    by the rules of `calibration`. `definitions` compares write-ups with the definitions of `taxonomy`.
    """

    def __init__(
        self,
        taxonomy: Taxonomy,
        redactor: Redactor,
        embedder: Embedder,
        history: History,
        ways: Sequence[Way] = (),
        options: PipelineOptions = DEFAULT_OPTIONS,
        *,
        calibration: Calibration = UNCALIBRATED,
        deadline_s: float | None = None,
        definitions: DefinitionReader | None = None,
    ) -> None:
        self.taxonomy = taxonomy
        self.redactor = redactor
        self.embedder = embedder
        self.history = history
        self.definitions = definitions or DefinitionReader(embedder, taxonomy)
        self._ways = tuple(ways)
        self._options = options
        self._calibration = calibration
        self._deadline_s = deadline_s
        self._turns = asyncio.Semaphore(options.turns)
        self._learner = Learner()

    @property
    def neighbours(self) -> int:
        """How many neighbours of an incident are retrieved."""
        return self._options.neighbours

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is wrong with the calibrators in use, a sentence or two each."""
        calibrations = [self._calibration, *(way.calibration for way in self._ways)]
        return tuple(dict.fromkeys(each.warning for each in calibrations if each.warning))

    async def run(
        self,
        incident: Incident,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
        teams: Collection[str] | None = None,
    ) -> PipelineResult:
        """Triage one incident. Neither the incident nor the ids in `exclude` are among its neighbours.

        `teams` limits the history to these teams; None means all. With `duplicates=False` near-duplicates are left out.
        With `as_of` the incident is triaged as of that moment: only incidents that began earlier are in the history,
        and sentences that tell how this one ended are left out. If no model can be reached, the answer comes from the
        history and the definitions alone and is marked degraded. Where none is set, it is not degraded.
        """
        seconds: dict[str, float] = {}
        with _timed(seconds, "redact"):
            redacted = await asyncio.to_thread(self.redactor.redact, incident.text)
        with _timed(seconds, "withhold"):
            reading = await asyncio.to_thread(
                readable_text, redacted.text, self.taxonomy, without_ending=as_of is not None
            )
        with _timed(seconds, "retrieve"):
            vector = (await self.embedder.embed([reading.text]))[0]
            hidden = {incident.id, *exclude}
            neighbours = await self.history.neighbours(
                reading.text,
                vector,
                self._options.neighbours,
                exclude=hidden,
                duplicates=duplicates,
                as_of=as_of,
                teams=teams,
            )
            # A near-duplicate is shown and flagged, but not learned from: one wrong label on a copy must not decide.
            examples = await self.history.examples(
                reading.text, exclude=hidden, duplicates=False, as_of=as_of, teams=teams
            )
        with _timed(seconds, "learn"):
            likeness = await self.definitions.read(reading.sentences, examples)
            learned = await asyncio.to_thread(
                self._learner.distributions, self.taxonomy, examples, reading.text, vector
            )
            for facet, distribution in likeness.distributions.items():
                learned.setdefault(facet, {})["definitions"] = distribution
        with _timed(seconds, "classify"):
            decision = await self._decide(reading.sentences, neighbours, learned)
        decided = decision.facets
        if is_too_little(reading.text, self.taxonomy):
            decided = without_kind(decided, self.taxonomy)
        facets, dropped = _with_evidence(decided, decision.quotes, likeness, redacted)
        kind = self.taxonomy.triaged[0].id
        likely = {each.label: each.probability for each in facets[kind].distribution}
        shown = by_likely_label(neighbours, kind, likely)[: self._options.shown_neighbours]
        with _timed(seconds, "contrast"):
            contrasted = await contrast(facets[kind], vector, examples, likeness, self.definitions)
        with _timed(seconds, "suggest"):
            # Near-duplicates too: their texts are quoted, and not counted.
            past = await self.history.examples(reading.text, exclude=hidden, as_of=as_of, teams=teams)
            advice = await asyncio.to_thread(suggest, self.taxonomy, neighbours, facets, past)
        warning = (decision.way.calibration if decision.way else decision.calibration).warning
        triage = Triage(
            incident_id=incident.id,
            facets=facets,
            neighbours=tuple(shown),
            contrast=_located(contrasted, redacted),
            **advice._asdict(),
            degraded=decision.degraded_reason is not None,
            degraded_reason=decision.degraded_reason,
            warnings=(warning,) if warning else (),
            provenance=Provenance(
                taxonomy=self.taxonomy.id,
                taxonomy_version=self.taxonomy.version,
                prompts=decision.way.classifier.prompts if decision.way else (),
                model=decision.way.model if decision.way else None,
                embedder=self.embedder.fingerprint,
                calibrator=decision.calibration.calibrator,
                history_size=await self.history.size(),
                redactions=redacted.counts,
                **decision.usage.model_dump(),
                cost=decision.cost,
                model_deadline_s=self._deadline_s,
                dropped_quotes=dropped,
                was_condensed=decision.was_condensed,
                withheld_sentences=reading.withheld,
                as_of=as_of,
                seconds=seconds,
            ),
        )
        return PipelineResult(triage, vector if reading.is_whole else None)

    def decide_again(
        self, triage: Triage, neighbours: Sequence[Neighbour], learned: Mapping[str, Distributions]
    ) -> dict[str, FacetResult]:
        """Decide a stored triage again, with these neighbours and these distributions of the other sources.

        The model is not asked: its answers are taken from the stored triage. Raises `MadeOtherwise` if the triage was
        made in other circumstances than today's.
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
        facets = decide(self.taxonomy, answers, neighbours, learned, rules)
        is_little = any(result.abstention == TOO_LITTLE for result in triage.facets.values())
        return without_kind(facets, self.taxonomy) if is_little else facets

    def rules_of(self, triage: Triage) -> Mapping[str, FacetRule]:
        """The rules that decided a stored triage. Raises `MadeOtherwise` if they are not today's."""
        made = triage.provenance
        is_answered = any("model" in result.sources for result in triage.facets.values())
        way = next((way for way in self._ways if is_answered and way.model == made.model), None)
        if is_answered and way is None:
            raise MadeOtherwise(f"Its model was {made.model}, which is not in use.", what="model")
        calibration = way.calibration if way else self._calibration
        differences = {
            "taxonomy": (f"{made.taxonomy} {made.taxonomy_version}", f"{self.taxonomy.id} {self.taxonomy.version}"),
            "embedder": (made.embedder, self.embedder.fingerprint),
            "prompts": (", ".join(made.prompts), ", ".join(way.classifier.prompts)) if way else ("", ""),
            "calibrator": (made.calibrator or "none", calibration.calibrator or "none"),
            "moment": (f"as of {made.as_of}" if made.as_of else "now", "now"),
        }
        for what, (then, now) in differences.items():
            if then != now:
                raise MadeOtherwise(f"Its {what} was {then or 'not recorded'}, and is {now}.", what=what)
        return calibration.rules

    async def prepare(self) -> None:
        """Do what the first incident would otherwise wait for. Raises `ModelUnavailable`."""
        await self.definitions.prepare()
        if self._ways:
            async with self._turns:
                await self._ways[0].classifier.prepare(self.taxonomy)

    async def _decide(
        self, sentences: list[Sentence], neighbours: list[Neighbour], learned: dict[str, Distributions]
    ) -> _Decision:
        """The decision with the first model that answers, or without a model where none does."""

        async def ask(place: int) -> _Decision:
            return await self._ask(self._ways[place], sentences, neighbours, learned)

        if not self._ways:
            return self._decide_alone(neighbours, learned)
        try:
            async with self._turns:
                candidates = [Candidate(way.model, way.most_s) for way in self._ways]
                decision, _, failures = await first_to_answer(candidates, ask, self._deadline_s)
        except ModelUnavailable as error:
            reason = f"{error.detail} The labels come from the history and the definitions alone."
            return self._decide_alone(neighbours, learned)._replace(way=self._ways[0], degraded_reason=reason)
        return decision._replace(degraded_reason=self._fallback_reason(decision, failures)) if failures else decision

    def _decide_alone(self, neighbours: list[Neighbour], learned: dict[str, Distributions]) -> _Decision:
        """The decision without a model."""
        facets = decide(self.taxonomy, {}, neighbours, learned, self._calibration.rules)
        return _Decision(facets, self._calibration, None)

    def _fallback_reason(self, decision: _Decision, failures: Sequence[Failure]) -> str:
        """Which models failed, why, and which one answered instead."""
        is_less_calibrated = self._ways[0].calibration.calibrator and not decision.calibration.calibrator
        uncalibrated = " Its probabilities are not calibrated." if is_less_calibrated else ""
        model = decision.way.model if decision.way else "none"
        return f"{describe_failures(failures)} The answer is that of {model} in its place.{uncalibrated}"

    async def _ask(
        self, way: Way, sentences: list[Sentence], neighbours: list[Neighbour], learned: dict[str, Distributions]
    ) -> _Decision:
        subject = await asyncio.to_thread(self._subject, sentences, neighbours, way.write_up_characters)
        classification = await way.classifier.classify(subject, self.taxonomy)
        with span("decide"):
            facets = decide(self.taxonomy, classification.answers, neighbours, learned, way.calibration.rules)
        quotes = {facet_id: answer.quotes for facet_id, answer in classification.answers.items() if answer.quotes}
        usage = classification.usage
        if self._options.ask_for_quotes:
            missing = {f.facet: f.labels for f in facets.values() if f.labels and f.facet not in quotes}
            found, used = await way.classifier.quote(subject, self.taxonomy, missing)
            quotes |= found
            usage += used
        was_condensed = len(subject.sentences) < len(sentences)
        return _Decision(facets, way.calibration, way, quotes, usage, was_condensed=was_condensed)

    def _subject(self, sentences: list[Sentence], neighbours: list[Neighbour], characters: int) -> Subject:
        """What a model is shown: as much as it may read, and neighbours without instructions to a model."""
        shown = diverse(neighbours, self._options.shown_neighbours, self.taxonomy.triaged[0].id)
        return Subject(
            sentences=tuple(condense(sentences, characters)),
            neighbours=tuple(without_instructions_in(neighbour, self.taxonomy) for neighbour in shown),
        )


class _Decision(NamedTuple):
    """The decided facets and what they come from. If no model answered, `way` is the first one that was asked."""

    facets: dict[str, FacetResult]
    calibration: Calibration
    way: Way | None
    quotes: Mapping[str, tuple[str, ...]] = {}
    usage: Usage = Usage()
    degraded_reason: str | None = None
    was_condensed: bool = False

    @property
    def cost(self) -> float | None:
        """US dollars for the tokens that were paid for; None if the price is unknown or no model answered."""
        if self.way is None or self.way.price is None or not self.usage.model_calls:
            return None
        paid = self.usage
        return self.way.price.of(
            paid.prompt_tokens - paid.cached_prompt_tokens, paid.completion_tokens - paid.cached_completion_tokens
        )


def circumstances(
    taxonomy: Taxonomy, embedder: Embedder, classifier: Classifier | None, model_name: str | None
) -> Circumstances:
    """The circumstances in which these parts decide; a calibrator must have been fitted in the same ones."""
    return Circumstances(
        taxonomy=f"{taxonomy.id}@{taxonomy.version}",
        prompts=classifier.prompts if classifier else (),
        model=model_name or "none",
        embedder=embedder.fingerprint,
    )


def _located(contrasted: Contrasted | None, redacted: Redacted) -> Contrast | None:
    """The contrast, with its sentence located in the original write-up."""
    if contrasted is None:
        return None
    found = locate([contrasted.sentence.text], redacted) if contrasted.sentence else ()
    return contrasted.contrast.model_copy(update={"evidence": found[0] if found else None})


def _with_evidence(
    facets: Mapping[str, FacetResult], quotes: Mapping[str, tuple[str, ...]], likeness: Likeness, redacted: Redacted
) -> tuple[dict[str, FacetResult], int]:
    """The results with the quotes that are in the write-up, and how many quotes are not.

    A facet without such a quote gets the sentences that show its labels, or its close labels where it abstains.
    """
    results, dropped = {}, 0
    for facet_id, facet in facets.items():
        found = locate(quotes.get(facet_id, ()), redacted)
        dropped += len(quotes.get(facet_id, ())) - len(found)
        if not found:
            found = show(facet, likeness, redacted)
        results[facet_id] = facet.model_copy(update={"evidence": found})
    return results, dropped


@contextmanager
def _timed(seconds: dict[str, float], step: str) -> Iterator[None]:
    begin(step)
    start = time.perf_counter()
    with span(step):
        yield
    seconds[step] = round(time.perf_counter() - start, 4)
