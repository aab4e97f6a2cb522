from __future__ import annotations

import string
from collections.abc import AsyncIterator

import pytest

from tests.fake_openai import Answer, Chosen, FakeOpenAI, Status
from triage.domain.errors import ModelUnavailable
from triage.domain.taxonomy import Taxonomy
from triage.models.chat.openai import OpenAIChat
from triage.pipeline.classification import Subject, whole
from triage.pipeline.classification.letters import LetterClassifier


@pytest.fixture
async def model(fake_openai: FakeOpenAI) -> AsyncIterator[OpenAIChat]:
    chat = OpenAIChat("any", fake_openai.base_url, "key")
    yield chat
    await chat.aclose()


async def test_the_log_probabilities_of_the_letters_are_those_of_the_labels(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.letters = {"C": 0.6, "A": 0.3, " a": 0.05, "x": 0.05}
    said = await whole(LetterClassifier(model).classify(subject, taxonomy))

    category = taxonomy.facet("category").ids
    distribution = said.answers["category"].distribution
    assert distribution[category[2]] == pytest.approx(0.6 / 0.9)
    assert distribution[category[0]] == pytest.approx(0.3 / 0.9)
    assert sum(distribution.values()) == pytest.approx(1)


async def test_children_are_asked_for_under_every_likely_parent_only(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.letters = {"A": 0.6, "B": 0.3, "C": 0.1}
    said = await whole(LetterClassifier(model).classify(subject, taxonomy))

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
    first = await whole(classifier.classify(subject, taxonomy))
    second = await whole(classifier.classify(subject, taxonomy))

    assert all("N/A" in str(request["messages"]) for request in fake_openai.requests[:asked])
    assert not any("N/A" in str(request["messages"]) for request in fake_openai.requests[asked:])
    assert first.answers["category"].prior == second.answers["category"].prior != {}


async def test_all_questions_about_a_write_up_share_what_stands_before_them(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    classifier = LetterClassifier(model)
    await classifier.prepare(taxonomy)
    fake_openai.requests.clear()
    await whole(classifier.classify(subject, taxonomy))

    assert len({request["messages"][0]["content"] for request in fake_openai.requests}) == 1
    before = {request["messages"][1]["content"].split("</write_up>")[0] for request in fake_openai.requests}
    assert len(before) == 1


def one_facet(taxonomy: Taxonomy) -> Taxonomy:
    return taxonomy.model_copy(update={"facets": (taxonomy.facet("category"),)})


async def test_an_endpoint_without_log_probabilities_is_asked_several_times_for_shares(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.gives_logprobs = False
    varied = iter("BBAB" * 2)
    fake_openai.otherwise = Chosen(lambda body: next(varied) if body["temperature"] else "B")
    classifier = LetterClassifier(model)
    await classifier.prepare(one_facet(taxonomy))
    fake_openai.requests.clear()
    said = await whole(classifier.classify(subject, one_facet(taxonomy)))

    category = taxonomy.facet("category").ids
    distribution = said.answers["category"].distribution
    assert sorted(sent["temperature"] for sent in fake_openai.requests) == [0.0, 0.7, 0.7, 0.7, 0.7]
    assert next(iter(distribution)) == category[1]
    assert distribution[category[1]] == pytest.approx((4 + 1 / len(category)) / 6)
    assert distribution[category[0]] == pytest.approx((1 + 1 / len(category)) / 6)
    assert distribution[category[2]] == pytest.approx((1 / len(category)) / 6)
    assert sum(distribution.values()) == pytest.approx(1)
    assert said.usage.model_calls == 5
    assert said.usage.completion_tokens == 5


async def test_an_endpoint_with_log_probabilities_is_asked_once_whatever_the_samples(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    classifier = LetterClassifier(model, samples=9)
    await classifier.prepare(one_facet(taxonomy))
    said = await whole(classifier.classify(subject, one_facet(taxonomy)))

    assert said.usage.model_calls == 1


async def test_samples_that_fail_or_are_no_letter_have_no_vote(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.gives_logprobs = False
    varied = iter([Status(401), Answer("Bananas"), Answer(" (b)")] * 2)
    fake_openai.otherwise = Chosen(lambda body: next(varied) if body["temperature"] else "B")
    said = await whole(LetterClassifier(model, samples=4).classify(subject, one_facet(taxonomy)))

    category = taxonomy.facet("category").ids
    assert said.answers["category"].distribution[category[1]] == pytest.approx((2 + 1 / len(category)) / 3)


@pytest.mark.parametrize("gives_logprobs", [True, False])
async def test_a_model_that_begins_the_json_anew_is_read_from_samples_with_room_for_it(
    gives_logprobs: bool, fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.gives_logprobs = gives_logprobs
    fake_openai.letters = {'{"': 0.9, "``": 0.1}
    fake_openai.otherwise = Chosen(lambda body: '{"' if body["max_tokens"] == 1 else '```json\n{"answer": "B"}\n```')
    classifier = LetterClassifier(model, samples=3)
    await classifier.prepare(one_facet(taxonomy))
    said = await whole(classifier.classify(subject, one_facet(taxonomy)))

    category = taxonomy.facet("category").ids
    assert said.answers["category"].distribution[category[1]] == pytest.approx((3 + 1 / len(category)) / 4)
    assert said.usage.model_calls == 4


@pytest.mark.parametrize("words", ["!? I think so", "Based on the write-up", "Z"])
async def test_a_model_that_answers_no_letter_is_told_of_with_a_way_out(
    words: str, fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.gives_logprobs = False
    fake_openai.otherwise = Answer(words)

    with pytest.raises(ModelUnavailable, match="TRIAGE_ANSWERS=structured"):
        await whole(LetterClassifier(model).classify(subject, taxonomy))


async def test_the_quote_is_the_sentence_that_the_model_names(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    classifier = LetterClassifier(model)
    fake_openai.otherwise = Answer("2")
    quotes, usage = await classifier.quote(subject, taxonomy, {"category": ("infrastructure",)})

    assert quotes == {"category": (subject.sentences[1].text,)}
    assert usage.model_calls == 1


async def test_a_sentence_that_there_is_not_gives_no_quote(
    fake_openai: FakeOpenAI, model: OpenAIChat, subject: Subject, taxonomy: Taxonomy
) -> None:
    fake_openai.otherwise = Chosen(lambda _: "99")
    quotes, _ = await LetterClassifier(model).quote(subject, taxonomy, {"category": ("infrastructure",)})

    assert quotes == {}


def test_no_shipped_facet_has_more_labels_than_letters(taxonomy: Taxonomy) -> None:
    assert all(len(group) <= len(string.ascii_uppercase) for facet in taxonomy.facets for group in facet.groups)
