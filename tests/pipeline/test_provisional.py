"""The answer before the model's, what its answers change, and what is left of them if it fails on the way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from evals.bench.learning_curve import RememberingEmbedder
from tests.fake_openai import Answer, Chosen, FakeOpenAI, Status
from tests.pipeline.outages import INCIDENT, TAXONOMY
from triage.domain.triage_result import LabelChange, Triage
from triage.history.chroma import ChromaHistory
from triage.models.chat.openai import OpenAIChat
from triage.models.chat.prices import Price
from triage.pipeline.calibration import Calibration
from triage.pipeline.classification.letters import LetterClassifier
from triage.pipeline.classification.structured import StructuredClassifier
from triage.pipeline.decision import FacetRule
from triage.pipeline.pipeline import Pipeline, PipelineOptions
from triage.pipeline.ways import Way
from triage.redaction import Redactor

MakePipeline = Callable[..., Pipeline]
WITHOUT_MODEL = FacetRule({"definitions": 1.0, "neighbours": 0.25}, abstain_below=0.0)
UNSURE = FacetRule({"definitions": 1.0}, abstain_below=0.999)
BOLD = Calibration("bold", {facet.id: WITHOUT_MODEL for facet in TAXONOMY.triaged})
ALONE = Calibration("alone", {"severity": UNSURE, "detection": UNSURE})


@pytest.fixture
def pipeline_of(embedder: RememberingEmbedder, history: ChromaHistory) -> MakePipeline:
    def make(*ways: Way, **options: Any) -> Pipeline:
        return Pipeline(TAXONOMY, Redactor(), embedder, history, ways, **options)

    return make


@pytest.fixture
def letters(model: OpenAIChat) -> Way:
    return Way(model.name, LetterClassifier(model, deadline_s=20))


def asks_for(name: str) -> Callable[[dict[str, Any]], bool]:
    """Whether a request asks about the facet of this id, in letters."""
    question = f"{TAXONOMY.facet(name).name}: {TAXONOMY.facet(name).question}"
    return lambda body: question in str(body["messages"][-1]["content"]) or question in str(body["messages"])


async def triaged(pipeline: Pipeline) -> tuple[Triage, Triage | None]:
    """The triage, and the provisional one before it."""
    kept: list[Triage] = []

    async def keep(triage: Triage) -> None:
        kept.append(triage)

    triage = (await pipeline.run(INCIDENT, on_provisional=keep)).triage
    return triage, next(iter(kept), None)


async def test_before_the_model_is_asked_there_is_the_answer_without_it(
    fake_openai: FakeOpenAI, model: OpenAIChat, pipeline_of: MakePipeline
) -> None:
    fake_openai.prefer = ("operational", "certificate_or_credential", "restart")
    asked: list[int] = []
    before: dict[str, tuple[str, ...]] = {}

    async def keep(provisional: Triage) -> None:
        asked.append(len(fake_openai.requests))
        assert provisional.is_provisional
        assert provisional.facets["category"].labels[0] == "inference_engine"
        before.update({facet: result.labels for facet, result in provisional.facets.items()})
        assert provisional.facets["mitigation"].evidence
        assert provisional.neighbours[0].incident_id == "redis"
        assert provisional.suggestions[0].mitigation == "restart"
        assert not provisional.degraded
        assert (provisional.provenance.model, provisional.provenance.model_calls) == (None, 0)

    pipeline = pipeline_of(Way(model.name, StructuredClassifier(model)), calibration=BOLD)
    triage = (await pipeline.run(INCIDENT, on_provisional=keep)).triage

    assert asked == [0]
    assert not triage.is_provisional
    assert triage.facets["category"].labels[0] == "operational"
    assert triage.changes == tuple(
        LabelChange(facet=facet, before=before[facet], after=result.labels)
        for facet, result in triage.facets.items()
        if set(before[facet]) != set(result.labels)
    )
    assert {"category", "failure_mode"} <= {each.facet for each in triage.changes}


async def test_without_a_model_no_answer_is_provisional(pipeline_of: MakePipeline) -> None:
    triage, provisional = await triaged(pipeline_of())

    assert provisional is None
    assert (triage.is_provisional, triage.changes) == (False, ())


async def test_facets_without_weight_for_the_model_are_not_asked_about(
    fake_openai: FakeOpenAI, model: OpenAIChat, pipeline_of: MakePipeline
) -> None:
    ignoring = FacetRule({"definitions": 1.0}, is_calibrated=True)
    rules = {facet.id: ignoring for facet in TAXONOMY.triaged if facet.id != "severity"}
    way = Way(model.name, StructuredClassifier(model), Calibration("fitted", rules))
    triage, provisional = await triaged(pipeline_of(way))

    (sent,) = fake_openai.requests
    asked = sent["response_format"]["json_schema"]["schema"]["properties"].keys()
    assert asked == {"severity", "rationale"}
    assert [facet for facet, result in triage.facets.items() if "model" in result.sources] == ["severity"]
    assert triage.facets["category"].is_calibrated
    assert not triage.degraded
    assert provisional is not None
    assert provisional.facets["category"] == triage.facets["category"]

    fake_openai.requests.clear()
    silent = Way(model.name, StructuredClassifier(model), Calibration("fitted", rules | {"severity": ignoring}))
    alone, provisional = await triaged(pipeline_of(silent))
    assert (fake_openai.requests, provisional) == ([], None)
    assert (alone.degraded, alone.changes, alone.provenance.model) == (False, (), "any-model")
    everything, _ = await triaged(pipeline_of(silent, options=PipelineOptions(ask_about_all=True)))
    assert all("model" in result.sources for result in everything.facets.values())


async def test_a_mode_is_asked_about_under_the_category_that_is_likely_without_the_model(
    fake_openai: FakeOpenAI, model: OpenAIChat, pipeline_of: MakePipeline
) -> None:
    ignoring = FacetRule({"definitions": 1.0}, abstain_below=0.0, is_calibrated=True)
    rules = {facet.id: ignoring for facet in TAXONOMY.triaged}
    rules["failure_mode"] = FacetRule({"model": 0.7, "definitions": 1.0}, abstain_below=0.0, is_calibrated=True)
    classifier = LetterClassifier(model)
    await classifier.prepare(TAXONOMY)
    fake_openai.requests.clear()
    triage, _ = await triaged(pipeline_of(Way(model.name, classifier, Calibration("fitted", rules))))

    assert fake_openai.requests
    assert all(asks_for("failure_mode")(sent) for sent in fake_openai.requests)
    category, mode = triage.facets["category"], TAXONOMY.facet("failure_mode")
    parents = {mode.label(label).parent for label in triage.facets["failure_mode"].sources["model"]}
    assert category.distribution[0].label in parents
    assert "model" not in category.sources


async def test_what_was_answered_before_a_failure_is_kept_and_paid_for(
    fake_openai: FakeOpenAI, letters: Way, pipeline_of: MakePipeline
) -> None:
    await letters.classifier.prepare(TAXONOMY)
    fails = asks_for("detection")
    fake_openai.otherwise = Chosen(lambda body: Status(401) if fails(body) else Answer())
    way = letters._replace(price=Price(prompt=1.0, completion=1.0))
    triage, _ = await triaged(pipeline_of(way, calibration=ALONE))

    answered = [facet for facet, result in triage.facets.items() if "model" in result.sources]
    assert answered == ["category", "failure_mode"]
    assert triage.degraded
    reason = triage.degraded_reason or ""
    assert "key" in reason
    assert "s, any-model answered category, failure mode. The other labels come from the history and the" in reason
    # The others abstain by the thresholds that were fitted without a model.
    assert triage.facets["severity"].labels == ()
    assert "Not sure enough" in (triage.facets["severity"].abstention or "")
    assert triage.provenance.calibrator == "alone"
    assert triage.provenance.model_calls >= 2
    assert triage.provenance.prompt_tokens > 100
    assert (triage.provenance.cost or 0) > 0


async def test_what_was_answered_before_the_deadline_is_kept_and_the_time_told(
    fake_openai: FakeOpenAI, letters: Way, pipeline_of: MakePipeline
) -> None:
    await letters.classifier.prepare(TAXONOMY)
    hangs = asks_for("failure_mode")
    fake_openai.otherwise = Chosen(lambda body: Answer(delay_s=30 if hangs(body) else 0))
    triage, _ = await triaged(pipeline_of(letters, deadline_s=1.0))

    assert [facet for facet, result in triage.facets.items() if "model" in result.sources] == ["category"]
    assert triage.degraded
    assert "any-model answered category. The other labels" in (triage.degraded_reason or "")
    waited_s = float((triage.degraded_reason or "").partition("After ")[2].partition(" s")[0])
    assert 0.9 <= waited_s <= triage.provenance.seconds["classify"] + 0.1


async def test_of_an_answer_with_a_mistake_the_valid_facets_are_kept(
    fake_openai: FakeOpenAI, model: OpenAIChat, pipeline_of: MakePipeline
) -> None:
    def answer(body: dict[str, Any]) -> str:
        return fake_openai.fitting_text(body).replace('"severity": {"labels": ["', '"severity": {"labels": ["no_')

    fake_openai.otherwise = Chosen(answer)
    triage, _ = await triaged(pipeline_of(Way(model.name, StructuredClassifier(model))))

    without = [facet for facet, result in triage.facets.items() if "model" not in result.sources]
    assert without == ["severity"]
    assert "two tries" in (triage.degraded_reason or "")
    assert triage.provenance.model_calls == 2


async def test_what_a_failed_model_cost_counts_beside_the_one_that_answers_in_its_place(
    fake_openai: FakeOpenAI, letters: Way, model: OpenAIChat, pipeline_of: MakePipeline
) -> None:
    await letters.classifier.prepare(TAXONOMY)
    fails = asks_for("failure_mode")
    fake_openai.otherwise = Chosen(lambda body: Status(401) if fails(body) and "logprobs" in body else Answer())
    other = Way("other-model", StructuredClassifier(model))
    triage, _ = await triaged(pipeline_of(letters, other))

    assert "in its place" in (triage.degraded_reason or "")
    assert triage.provenance.model == "other-model"
    assert all("model" in result.sources for result in triage.facets.values())
    assert triage.provenance.model_calls == 2


async def test_answers_are_kept_when_the_quotes_fail(
    fake_openai: FakeOpenAI, letters: Way, pipeline_of: MakePipeline
) -> None:
    await letters.classifier.prepare(TAXONOMY)
    fake_openai.otherwise = Chosen(lambda body: Status(401) if body["max_tokens"] > 1 else Answer())
    triage, _ = await triaged(pipeline_of(letters, options=PipelineOptions(ask_for_quotes=True)))

    assert all("model" in result.sources for result in triage.facets.values())
    assert "did not quote evidence" in (triage.degraded_reason or "")
    assert triage.facets["mitigation"].evidence
