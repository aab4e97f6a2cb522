from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.fake_openai import Answer, Behaviour, Chosen, FakeOpenAI, OutsideSchema, Status, WrongLabel
from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Taxonomy
from triage.models.chat.openai import OpenAIChat
from triage.pipeline.classification import Subject, whole
from triage.pipeline.classification.structured import StructuredClassifier


@pytest.fixture
async def model(fake_openai: FakeOpenAI) -> AsyncIterator[OpenAIChat]:
    chat = OpenAIChat("any", fake_openai.base_url, "key")
    yield chat
    await chat.aclose()


@pytest.fixture
def classifier(model: OpenAIChat) -> StructuredClassifier:
    return StructuredClassifier(model, deadline_s=10)


@pytest.fixture
def sampler(model: OpenAIChat) -> StructuredClassifier:
    return StructuredClassifier(model, deadline_s=10, samples=3)


async def test_all_facets_come_with_one_call(
    fake_openai: FakeOpenAI, classifier: StructuredClassifier, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.prefer = ("inference_engine", "resource_exhaustion", "restart")
    fake_openai.words = "The Redis cluster ran out of connections."
    said = await whole(classifier.classify(subject, taxonomy))

    assert len(fake_openai.requests) == said.usage.model_calls == 1
    assert set(said.answers) == {facet.id for facet in taxonomy.triaged}
    assert next(iter(said.answers["category"].distribution)) == "inference_engine"
    assert said.answers["category"].quotes == (fake_openai.words,)


@pytest.mark.parametrize("wrong", [WrongLabel(), OutsideSchema(), Answer("well, it depends"), Answer("[]")])
async def test_an_answer_that_does_not_fit_is_sent_back_once_with_its_mistake(
    wrong: WrongLabel | OutsideSchema | Answer,
    fake_openai: FakeOpenAI,
    classifier: StructuredClassifier,
    subject: Subject,
    taxonomy: Taxonomy,
) -> None:
    fake_openai.script(wrong)
    said = await whole(classifier.classify(subject, taxonomy))

    assert said.usage.model_calls == 2
    assert "can't be used" in fake_openai.requests[1]["messages"][-1]["content"]


LADDER = ("json_schema", "tools", "json_object")


@pytest.mark.parametrize("rejected", [LADDER[:count] for count in range(len(LADDER) + 1)])
async def test_a_model_is_asked_well_whatever_output_formats_its_endpoint_has(
    rejected: tuple[str, ...],
    fake_openai: FakeOpenAI,
    classifier: StructuredClassifier,
    subject: Subject,
    taxonomy: Taxonomy,
) -> None:
    fake_openai.rejects = set(rejected)
    fake_openai.prefer = ("inference_engine",)
    fake_openai.otherwise = Chosen(lambda body: f"Here it is:\n```json\n{fake_openai.fitting_text(body)}\n```")
    said = await whole(classifier.classify(subject, taxonomy))

    assert next(iter(said.answers["category"].distribution)) == "inference_engine"
    assert (said.usage.model_calls, len(fake_openai.requests)) == (1, 1 + len(rejected))


@pytest.mark.parametrize("rejected", [LADDER[:1], LADDER])
async def test_the_answer_sent_back_tells_the_schema_once(
    rejected: tuple[str, ...],
    fake_openai: FakeOpenAI,
    classifier: StructuredClassifier,
    subject: Subject,
    taxonomy: Taxonomy,
) -> None:
    await whole(classifier.classify(subject, taxonomy))
    fake_openai.rejects = set(rejected)
    wrong = iter([WrongLabel()])
    fake_openai.otherwise = Chosen(lambda _: next(wrong, Answer()))
    await whole(classifier.classify(subject, taxonomy))

    said = fake_openai.requests[-1]["messages"][-1]["content"]
    assert "can't be used" in said
    assert "no_such_label" in said
    assert said.count("JSON schema: ") == 1


async def test_two_answers_that_do_not_fit_are_no_answer(
    fake_openai: FakeOpenAI, classifier: StructuredClassifier, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.otherwise = WrongLabel()

    with pytest.raises(ModelUnavailable, match=r"no usable answer in two tries.*no_such_label"):
        await whole(classifier.classify(subject, taxonomy))


async def test_an_answer_that_was_cut_off_is_not_taken_for_a_whole_one(
    fake_openai: FakeOpenAI, classifier: StructuredClassifier, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.script(Answer(finish_reason="length"))
    said = await whole(classifier.classify(subject, taxonomy))

    assert said.usage.model_calls == 2


async def test_the_runner_up_gets_a_share_and_single_facets_one_label(
    fake_openai: FakeOpenAI, classifier: StructuredClassifier, subject: Subject, taxonomy: Taxonomy
) -> None:
    await whole(classifier.classify(subject, taxonomy))
    given = json.loads(fake_openai.fitting_text(fake_openai.requests[-1]))
    given["category"] |= {"labels": ["operational"], "runner_up": "infrastructure", "certainty": 80}
    fake_openai.script(Answer(json.dumps(given)))
    said = await whole(classifier.classify(subject, taxonomy))

    assert said.answers["category"].distribution == pytest.approx({"operational": 0.8, "infrastructure": 0.1})


async def test_the_distribution_over_several_answers_is_their_mean(
    fake_openai: FakeOpenAI, subject: Subject, taxonomy: Taxonomy, sampler: StructuredClassifier
) -> None:
    varied = iter([("operational", 90), ("infrastructure", 60)])

    def answer(body: dict[str, Any]) -> str:
        label, certainty = next(varied) if body["temperature"] else ("infrastructure", 80)
        given = json.loads(fake_openai.fitting_text(body))
        runner_up = {"infrastructure": "operational", "operational": "infrastructure"}[label]
        given["category"] = {
            "labels": [label],
            "certainty": certainty,
            "runner_up": runner_up,
            "quotes": ["first" if not body["temperature"] else "later"],
        }
        return json.dumps(given)

    fake_openai.otherwise = Chosen(answer)
    said = await whole(sampler.classify(subject, taxonomy))

    assert sorted(sent["temperature"] for sent in fake_openai.requests) == [0.0, 0.7, 0.7]
    category = said.answers["category"]
    assert category.distribution == pytest.approx(
        {"infrastructure": (0.8 + 0.05 + 0.6) / 3, "operational": (0.1 + 0.9 + 0.2) / 3}
    )
    assert category.quotes == ("first",)
    assert said.usage.model_calls == 3


async def test_the_answers_are_asked_for_at_once(
    fake_openai: FakeOpenAI, subject: Subject, taxonomy: Taxonomy, sampler: StructuredClassifier
) -> None:
    fake_openai.otherwise = Answer(delay_s=0.5)
    started = time.monotonic()
    await whole(sampler.classify(subject, taxonomy))

    assert time.monotonic() - started < 1.4


@pytest.mark.parametrize(
    "trouble", [Status(401), WrongLabel(), Answer("well, it depends"), Answer(finish_reason="length")]
)
async def test_a_sample_that_fails_is_left_out(
    trouble: Behaviour,
    fake_openai: FakeOpenAI,
    subject: Subject,
    taxonomy: Taxonomy,
    sampler: StructuredClassifier,
    classifier: StructuredClassifier,
) -> None:
    fake_openai.otherwise = Chosen(lambda body: trouble if body["temperature"] else Answer())
    said = await whole(sampler.classify(subject, taxonomy))

    alone = await whole(classifier.classify(subject, taxonomy))
    assert said.answers == alone.answers


async def test_without_a_usable_first_answer_the_samples_do_not_count(
    fake_openai: FakeOpenAI, subject: Subject, taxonomy: Taxonomy, sampler: StructuredClassifier
) -> None:
    fake_openai.otherwise = Chosen(lambda body: Answer(delay_s=20) if body["temperature"] else WrongLabel())
    started = time.monotonic()

    with pytest.raises(ModelUnavailable, match=r"no usable answer in two tries.*TRIAGE_MODEL"):
        await whole(sampler.classify(subject, taxonomy))

    assert time.monotonic() - started < 5
