from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from tests.fake_openai import Answer, FakeOpenAI, OutsideSchema, WrongLabel
from triage.classification import Subject
from triage.classification.structured import StructuredClassifier
from triage.errors import ModelUnavailable
from triage.llm.openai import OpenAIChat
from triage.taxonomy import Taxonomy


@pytest.fixture
async def classifier(fake_openai: FakeOpenAI) -> AsyncIterator[StructuredClassifier]:
    chat = OpenAIChat("any", fake_openai.base_url, "key")
    yield StructuredClassifier(chat, deadline_s=10)
    await chat.aclose()


async def test_all_facets_come_with_one_call(
    fake_openai: FakeOpenAI, classifier: StructuredClassifier, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.prefer = ("inference_engine", "resource_exhaustion", "restart")
    fake_openai.words = "The Redis cluster ran out of connections."
    said = await classifier.classify(subject, taxonomy)

    assert len(fake_openai.requests) == said.usage.calls == 1
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
    said = await classifier.classify(subject, taxonomy)

    assert said.usage.calls == 2
    assert "can't be used" in fake_openai.requests[1]["messages"][-1]["content"]


async def test_two_answers_that_do_not_fit_are_no_answer(
    fake_openai: FakeOpenAI, classifier: StructuredClassifier, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.otherwise = WrongLabel()

    with pytest.raises(ModelUnavailable, match=r"no usable answer in two tries.*no_such_label"):
        await classifier.classify(subject, taxonomy)


async def test_an_answer_that_was_cut_off_is_not_taken_for_a_whole_one(
    fake_openai: FakeOpenAI, classifier: StructuredClassifier, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.script(Answer(finish_reason="length"))
    said = await classifier.classify(subject, taxonomy)

    assert said.usage.calls == 2


async def test_the_runner_up_gets_a_share_and_single_facets_one_label(
    fake_openai: FakeOpenAI, classifier: StructuredClassifier, subject: Subject, taxonomy: Taxonomy
) -> None:
    await classifier.classify(subject, taxonomy)
    whole = json.loads(fake_openai.fitting_text(fake_openai.requests[-1]))
    whole["category"] |= {"labels": ["operational"], "runner_up": "infrastructure", "certainty": 80}
    fake_openai.script(Answer(json.dumps(whole)))
    said = await classifier.classify(subject, taxonomy)

    assert said.answers["category"].distribution == pytest.approx({"operational": 0.8, "infrastructure": 0.1})
