"""The flow of one incident: `Pipeline.run` takes a write-up and returns its triage."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from datetime import datetime
from typing import NamedTuple

from triage.domain.annotation import Labels
from triage.domain.errors import ModelUnavailable, TriageError
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import Contrast, FacetResult, LabelChange, Neighbour, Provenance, Triage
from triage.history import Example, History
from triage.history.retrieval import by_likely_label, diverse
from triage.models.chat.deadline import within
from triage.models.embedding import Embedder, Vectors
from triage.observability.progress import begin, observed_by
from triage.observability.spans import span
from triage.pipeline.calibration import UNCALIBRATED, Calibration, Circumstances
from triage.pipeline.cascade import Cascade, weighs_model
from triage.pipeline.classification import Answer, Classification, Classifier, Subject, Usage
from triage.pipeline.classification.evidence import locate, show
from triage.pipeline.classification.instructions import ReadableText, readable_text, without_instructions_in
from triage.pipeline.classification.likeness import DefinitionReader, Likeness
from triage.pipeline.classification.linear_models import Distributions, Learner
from triage.pipeline.classification.sentences import condense
from triage.pipeline.classification.sufficiency import TOO_LITTLE, is_too_little, without_kind
from triage.pipeline.contrast import Contrasted, contrast
from triage.pipeline.decision import FacetRule, decide
from triage.pipeline.mitigation import suggest
from triage.pipeline.ways import Outcome, Tried, Way, ask_in_turn, rules_for
from triage.redaction import Redacted, Redactor

_SHORTEST_WAIT_TOLD_S = 0.05

STEPS = ("redact", "withhold", "retrieve", "learn", "decide", "classify", "contrast", "suggest")
"""The steps of one incident in order, by the names under which they are reported and timed."""


class MadeOtherwise(TriageError):
    """A stored triage was made in other circumstances than today's, so the two can't be compared."""

    status = 409
    title = "The triage was made in other circumstances"


class PipelineOptions(NamedTuple):
    """What a caller may tune.

    `turns` is how many incidents a model may be asked about at once: 1 for a local model, whose cached prompt prefix
    they share. With `ask_for_quotes` a model that answers with letters is also asked for evidence. Without it, the
    evidence is the sentence that shows the label best. With `ask_about_all` the model is asked about every
    facet, also where its answer can't change a label: to learn what its answers are worth.
    """

    neighbours: int = 10
    shown_neighbours: int = 5
    turns: int = 16
    ask_for_quotes: bool = False
    ask_about_all: bool = False


DEFAULT_OPTIONS = PipelineOptions()


class PipelineResult(NamedTuple):
    """A triage, and the vector of the redacted write-up: shape (dimension,), None where sentences were left out."""

    triage: Triage
    vector: Vectors | None


class Pipeline:
    """Triages incidents with one taxonomy and one history. Stores nothing.

    `ways` are tried in order until a model answers, within `deadline_s` seconds in all (see `first_to_answer`). Without
    `deadline_s` each call has its own deadline. Facets that no model answered are decided by the history and the
    definitions alone, by the rules of `calibration`. `definitions` compares write-ups with the definitions of
    `taxonomy`.
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
        on_provisional: Callable[[Triage], Awaitable[None]] | None = None,
    ) -> PipelineResult:
        """Triage one incident. Neither the incident nor the ids in `exclude` are among its neighbours.

        `teams` limits the history to these teams; None means all. With `duplicates=False` near-duplicates are left out.
        With `as_of` the incident is triaged as of that moment: only incidents that began earlier are in the history,
        and sentences that tell how this one ended are left out.

        Before a model is asked about anything, `on_provisional` gets the triage without it. Facets that a model should
        have answered and did not are decided by the history and the definitions alone, and the triage is marked
        degraded.
        """
        seconds: dict[str, float] = {}
        known = await self._read(
            incident, seconds, exclude={incident.id, *exclude}, duplicates=duplicates, as_of=as_of, teams=teams
        )
        with _timed(seconds, "decide"):
            alone = self._decide_alone(known)
            asked = await asyncio.to_thread(self._facets_to_ask, known, alone)
            if asked and on_provisional is not None:
                await on_provisional(await self._provisional(known, alone, seconds))
        with _timed(seconds, "classify"):
            if asked:
                decision = await self._decide_with_models(known, alone, asked)
            else:
                decision = alone._replace(way=next(iter(self._ways), None))
        triage = await self._compose(known, decision, seconds)
        return PipelineResult(triage, known.vector if known.reading.is_whole else None)

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
        answered = [facet for facet, result in triage.facets.items() if "model" in result.sources]
        way = next((way for way in self._ways if way.model == made.model), None)
        if answered and way is None:
            raise MadeOtherwise(f"Its model was {made.model}, which is not in use.", what="model")
        own = way.calibration if way else self._calibration
        calibration = rules_for(self.taxonomy, own, self._calibration, answered)
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
        rules = self._ways[0].calibration.rules if self._ways else {}
        if self._ways and any(weighs_model(rules, facet.id) for facet in self.taxonomy.triaged):
            async with self._turns:
                await self._ways[0].classifier.prepare(self.taxonomy)

    async def _read(
        self,
        incident: Incident,
        seconds: dict[str, float],
        *,
        exclude: Collection[str],
        duplicates: bool,
        as_of: datetime | None,
        teams: Collection[str] | None,
    ) -> _Known:
        """What is known of an incident before a model is asked."""
        with _timed(seconds, "redact"):
            redacted = await asyncio.to_thread(self.redactor.redact, incident.text)
        with _timed(seconds, "withhold"):
            reading = await asyncio.to_thread(
                readable_text, redacted.text, self.taxonomy, without_ending=as_of is not None
            )
        with _timed(seconds, "retrieve"):
            vector = (await self.embedder.embed([reading.text]))[0]
            neighbours = await self.history.neighbours(
                reading.text,
                vector,
                self._options.neighbours,
                exclude=exclude,
                duplicates=duplicates,
                as_of=as_of,
                teams=teams,
            )
            # A near-duplicate is shown and flagged, but not learned from: one wrong label on a copy must not decide.
            examples = await self.history.examples(
                reading.text, exclude=exclude, duplicates=False, as_of=as_of, teams=teams
            )
            # With near-duplicates: their texts are quoted, and not counted.
            past = await self.history.examples(reading.text, exclude=exclude, as_of=as_of, teams=teams)
        with _timed(seconds, "learn"):
            likeness = await self.definitions.read(reading.sentences, examples)
            learned = await asyncio.to_thread(
                self._learner.distributions, self.taxonomy, examples, reading.text, vector
            )
            for facet, distribution in likeness.distributions.items():
                learned.setdefault(facet, {})["definitions"] = distribution
        is_little = is_too_little(reading.text, self.taxonomy)
        return _Known(
            incident.id, redacted, reading, vector, neighbours, examples, past, likeness, learned, as_of, is_little
        )

    def _decide_alone(self, known: _Known) -> _Decision:
        """The decision without a model."""
        own = self._ways[0].calibration if self._ways else self._calibration
        calibration = rules_for(self.taxonomy, own, self._calibration, ())
        return _Decision(self._decide_on(known, {}, calibration), calibration)

    def _decide_on(
        self, known: _Known, answers: Mapping[str, Answer], calibration: Calibration
    ) -> dict[str, FacetResult]:
        """The facets with these answers; no kind of incident where the write-up is too short to tell it."""
        facets = decide(self.taxonomy, answers, known.neighbours, known.learned, calibration.rules)
        return without_kind(facets, self.taxonomy) if known.is_too_little else facets

    async def _provisional(self, known: _Known, alone: _Decision, seconds: Mapping[str, float]) -> Triage:
        # Its own steps are not reported: those of the final triage follow.
        with observed_by(lambda _: None), span("provisional"):
            triage = await self._compose(known, alone, dict(seconds))
        return triage.model_copy(update={"is_provisional": True})

    async def _decide_with_models(self, known: _Known, alone: _Decision, asked: Sequence[Facet]) -> _Decision:
        """The decision with the answers of the first model that gives all of them, or of the one that gave most."""
        narrow = self.taxonomy.model_copy(update={"facets": tuple(asked)})
        subjects: dict[str, Subject] = {}

        async def ask(tried: Tried) -> None:
            subject = await asyncio.to_thread(self._subject, known, alone, tried.way.write_up_characters)
            subjects[tried.way.model] = subject
            tried.was_condensed = len(subject.sentences) < len(known.reading.sentences)
            async for part in tried.way.classifier.classify(subject, narrow):
                tried.add(part)

        async with self._turns:
            outcome = await ask_in_turn(self._ways, ask, self._deadline_s)
            best = outcome.best
            answers = best.found.answers
            calibration = rules_for(self.taxonomy, best.way.calibration, self._calibration, answers)
            facets = self._decide_on(known, answers, calibration)
            reason = self._degraded_reason(outcome, calibration, asked)
            if self._options.ask_for_quotes and outcome.is_whole:
                wanted = {facet: facets[facet].labels for facet in answers if facets[facet].labels}
                failure = await self._quote(outcome, subjects[best.way.model], wanted)
                reason = " ".join(filter(None, (reason, failure))) or None
        return _Decision(
            facets,
            calibration,
            best.way,
            best.quotes,
            sum((tried.found.usage for tried in outcome.tries), start=Usage()),
            outcome.cost,
            degraded_reason=reason,
            was_condensed=best.was_condensed,
            changes=_changes(self.taxonomy, alone.facets, facets) if answers else (),
        )

    def _facets_to_ask(self, known: _Known, alone: _Decision) -> list[Facet]:
        if not self._ways:
            return []
        way = self._ways[0]
        if self._options.ask_about_all:
            return self.taxonomy.triaged

        def decide_with(answers: Mapping[str, Answer]) -> Mapping[str, FacetResult]:
            rules = rules_for(self.taxonomy, way.calibration, self._calibration, answers).rules
            return decide(self.taxonomy, answers, known.neighbours, known.learned, rules)

        return Cascade(
            self.taxonomy,
            way.calibration.rules,
            alone.facets,
            decide_with,
            lambda facet: way.classifier.known_prior(self.taxonomy, facet),
        ).facets()

    async def _quote(self, outcome: Outcome, subject: Subject, wanted: Labels) -> str | None:
        """Ask the way that answered for quotes that it did not give yet. Returns why it failed, or None."""
        best = outcome.best
        left_s = None if self._deadline_s is None else max(self._deadline_s - outcome.waited_s, 0.0)
        missing = {facet: labels for facet, labels in wanted.items() if facet not in best.quotes}
        try:
            async with within(left_s) if left_s is not None else nullcontext():
                for facet, labels in missing.items():
                    quotes, usage = await best.way.classifier.quote(subject, self.taxonomy, {facet: labels})
                    best.quotes |= quotes
                    best.add(Classification(usage=usage))
        except ModelUnavailable as error:
            return f"{error.detail} The model answered every facet, but did not quote evidence for all of them."
        return None

    def _degraded_reason(self, outcome: Outcome, calibration: Calibration, asked: Sequence[Facet]) -> str | None:
        """Which models failed, why, and where the answer comes from instead; None if the first one answered."""
        if outcome.failure is None:
            return None
        model, answers = outcome.best.way.model, outcome.best.found.answers
        if outcome.is_whole:
            is_less_calibrated = self._ways[0].calibration.calibrator and not calibration.calibrator
            uncalibrated = " Its probabilities are not calibrated." if is_less_calibrated else ""
            return f"{outcome.failure} The answer is that of {model} in its place.{uncalibrated}"
        answered = ", ".join(facet.name.lower() for facet in asked if facet.id in answers)
        alone = "labels come from the history and the definitions alone."
        if not answered and outcome.waited_s < _SHORTEST_WAIT_TOLD_S:
            return f"{outcome.failure} The {alone}"
        got = f"{model} answered {answered}. The other" if answered else "no facet was answered. The"
        return f"{outcome.failure} After {outcome.waited_s:.1f} s, {got} {alone}"

    async def _compose(self, known: _Known, decision: _Decision, seconds: dict[str, float]) -> Triage:
        """The triage with this decision: with evidence, neighbours, a contrast and mitigations."""
        facets, dropped = _with_evidence(decision.facets, decision.quotes, known.likeness, known.redacted)
        kind = self.taxonomy.triaged[0].id
        likely = {each.label: each.probability for each in facets[kind].distribution}
        shown = by_likely_label(known.neighbours, kind, likely)[: self._options.shown_neighbours]
        with _timed(seconds, "contrast"):
            contrasted = await contrast(facets[kind], known.vector, known.examples, known.likeness, self.definitions)
        with _timed(seconds, "suggest"):
            advice = await asyncio.to_thread(suggest, self.taxonomy, known.neighbours, facets, known.past)
        warning = decision.calibration.warning
        return Triage(
            incident_id=known.incident_id,
            facets=facets,
            neighbours=tuple(shown),
            contrast=_located(contrasted, known.redacted),
            **advice._asdict(),
            degraded=decision.degraded_reason is not None,
            degraded_reason=decision.degraded_reason,
            changes=decision.changes,
            warnings=(warning,) if warning else (),
            provenance=Provenance(
                taxonomy=self.taxonomy.id,
                taxonomy_version=self.taxonomy.version,
                prompts=decision.way.classifier.prompts if decision.way else (),
                model=decision.way.model if decision.way else None,
                embedder=self.embedder.fingerprint,
                calibrator=decision.calibration.calibrator,
                history_size=await self.history.size(),
                redactions=known.redacted.counts,
                **decision.usage.model_dump(),
                cost=decision.cost,
                model_deadline_s=self._deadline_s,
                dropped_quotes=dropped,
                was_condensed=decision.was_condensed,
                withheld_sentences=known.reading.withheld,
                as_of=known.as_of,
                seconds=seconds,
            ),
        )

    def _subject(self, known: _Known, alone: _Decision, characters: int) -> Subject:
        """What a model is shown: as much as it may read, and neighbours without instructions to a model."""
        shown = diverse(known.neighbours, self._options.shown_neighbours, self.taxonomy.triaged[0].id)
        return Subject(
            sentences=tuple(condense(known.reading.sentences, characters)),
            neighbours=tuple(without_instructions_in(neighbour, self.taxonomy) for neighbour in shown),
            likely={
                facet: {each.label: each.probability for each in result.distribution}
                for facet, result in alone.facets.items()
            },
        )


class _Known(NamedTuple):
    """What is known of an incident before a model is asked. The vector has shape (dimension,)."""

    incident_id: str
    redacted: Redacted
    reading: ReadableText
    vector: Vectors
    neighbours: list[Neighbour]
    examples: Sequence[Example]
    past: Sequence[Example]
    likeness: Likeness
    learned: dict[str, Distributions]
    as_of: datetime | None
    is_too_little: bool


class _Decision(NamedTuple):
    """The decided facets and what they come from. If no model answered, `way` is the first one that was asked."""

    facets: dict[str, FacetResult]
    calibration: Calibration
    way: Way | None = None
    quotes: Mapping[str, tuple[str, ...]] = {}
    usage: Usage = Usage()
    cost: float | None = None
    degraded_reason: str | None = None
    was_condensed: bool = False
    changes: tuple[LabelChange, ...] = ()


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


def _changes(
    taxonomy: Taxonomy, before: Mapping[str, FacetResult], after: Mapping[str, FacetResult]
) -> tuple[LabelChange, ...]:
    """The facets whose labels differ; the order counts where the first label is the primary one."""
    pairs = [(facet, before[facet.id].labels, after[facet.id].labels) for facet in taxonomy.triaged]
    return tuple(
        LabelChange(facet=facet.id, before=was, after=now)
        for facet, was, now in pairs
        if set(was) != set(now) or (facet.cardinality == "primary_first" and was[:1] != now[:1])
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
