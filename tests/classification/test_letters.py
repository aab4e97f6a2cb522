from __future__ import annotations

import string
from collections.abc import AsyncIterator

import pytest

from tests.fake_openai import Answer, Chosen, FakeOpenAI
from triage.classification import Subject
from triage.classification.letters import LetterClassifier
from triage.errors import ModelUnavailable
from triage.llm.openai import OpenAIChat
from triage.taxonomy import Taxonomy


@pytest.fixture
async def model(fake_openai: FakeOpenAI) -> AsyncIterator[OpenAIChat]:
    chat = OpenAIChat("any", fake_openai.base_url, "key")
    yield chat
    await chat.aclose()


async def test_the_log_probabilities_of_the_letters_are_those_of_the_labels(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.letters = {"C": 0.6, "A": 0.3, " a": 0.05, "x": 0.05}
    said = await LetterClassifier(model).classify(subject, taxonomy)

    category = taxonomy.facet("category").ids
    distribution = said.answers["category"].distribution
    assert distribution[category[2]] == pytest.approx(0.6 / 0.9)
    assert distribution[category[0]] == pytest.approx(0.3 / 0.9)
    assert sum(distribution.values()) == pytest.approx(1)


async def test_children_are_asked_for_under_every_likely_parent_only(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.letters = {"A": 0.6, "B": 0.3, "C": 0.1}
    said = await LetterClassifier(model).classify(subject, taxonomy)

    category = taxonomy.facet("category").ids
    parents = {
        taxonomy.facet("failure_mode").label(label).parent for label in said.answers["failure_mode"].distribution
    }
    assert parents == {category[0], category[1]}


async def test_what_the_model_favours_without_content_is_asked_once(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    classifier = LetterClassifier(model)
    await classifier.prepare(taxonomy)
    asked = len(fake_openai.requests)
    first = await classifier.classify(subject, taxonomy)
    second = await classifier.classify(subject, taxonomy)

    assert all("N/A" in str(request["messages"]) for request in fake_openai.requests[:asked])
    assert not any("N/A" in str(request["messages"]) for request in fake_openai.requests[asked:])
    assert first.answers["category"].prior == second.answers["category"].prior != {}


async def test_all_questions_about_a_write_up_share_what_stands_before_them(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    classifier = LetterClassifier(model)
    await classifier.prepare(taxonomy)
    fake_openai.requests.clear()
    await classifier.classify(subject, taxonomy)

    assert len({request["messages"][0]["content"] for request in fake_openai.requests}) == 1
    before = {request["messages"][1]["content"].split("</write_up>")[0] for request in fake_openai.requests}
    assert len(before) == 1


async def test_an_endpoint_without_log_probabilities_gives_its_letter_alone(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.gives_logprobs = False
    fake_openai.otherwise = Answer("B")
    said = await LetterClassifier(model).classify(subject, taxonomy)

    best = next(iter(said.answers["category"].distribution))
    assert best == taxonomy.facet("category").ids[1]


async def test_a_model_that_answers_no_letter_is_told_of_with_a_way_out(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.gives_logprobs = False
    fake_openai.otherwise = Answer("!? I think so")

    with pytest.raises(ModelUnavailable, match="TRIAGE_ANSWERS=structured"):
        await LetterClassifier(model).classify(subject, taxonomy)


async def test_the_quote_is_the_sentence_that_the_model_names(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    classifier = LetterClassifier(model)
    fake_openai.otherwise = Answer("2")
    quotes, usage = await classifier.quote(subject, taxonomy, {"category": ("infrastructure",)})

    assert quotes == {"category": (subject.sentences[1].text,)}
    assert usage.calls == 1


async def test_a_sentence_that_there_is_not_gives_no_quote(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.otherwise = Chosen(lambda _: "99")
    quotes, _ = await LetterClassifier(model).quote(subject, taxonomy, {"category": ("infrastructure",)})

    assert quotes == {}


def test_no_shipped_facet_has_more_labels_than_letters(taxonomy: Taxonomy) -> None:
    assert all(len(group) <= len(string.ascii_uppercase) for facet in taxonomy.facets for group in facet.groups)
