"""What an observer learns of calls."""

from __future__ import annotations

import asyncio

import pytest

from tests.fake_openai import Answer, Body, CutOff, FakeOpenAI, Refusal, Status
from tests.model_counters import Counters
from triage.domain.errors import ModelUnavailable
from triage.models.chat import Message, Request
from triage.models.chat.observer import ERROR_KINDS, ObservedChat
from triage.models.chat.openai import OpenAIChat
from triage.models.chat.prices import Price
from triage.models.chat.retry import RetryPolicy

REQUEST = Request(messages=(Message(role="user", content="Why is that so?"),), deadline_s=0.5)


async def test_answers_are_counted_with_their_tokens_cost_and_retries(fake_openai: FakeOpenAI) -> None:
    counters = Counters()
    chat = OpenAIChat("big", fake_openai.base_url, "key", policy=RetryPolicy(first_wait_s=0.01))
    observed = ObservedChat(chat, counters, Price(prompt=1, completion=1_000_000))
    fake_openai.otherwise = Answer("because it is")
    fake_openai.script(Status(500), CutOff())
    await observed.complete(REQUEST)
    await observed.complete(REQUEST)
    await chat.aclose()

    assert (counters.calls["big"], counters.retries["big"]) == (2, 2)
    assert (counters.prompt_tokens["big"], counters.completion_tokens["big"]) == (8, 6)
    assert counters.cost["big"] == pytest.approx(6 + 8e-6)
    assert not counters.errors


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        (Status(429), "rate_limit"),
        (Status(503), "server_error"),
        (Status(401), "rejected"),
        (Refusal(), "refusal"),
        (Body("{"), "unusable_reply"),
        (CutOff(), "connection"),
        (Answer(delay_s=5), "timeout"),
    ],
)
async def test_failures_are_counted_by_kind(fake_openai: FakeOpenAI, behaviour: Answer, kind: str) -> None:
    counters = Counters()
    chat = OpenAIChat("big", fake_openai.base_url, "key", policy=RetryPolicy(attempts=2, first_wait_s=0.01))
    fake_openai.otherwise = behaviour
    with pytest.raises(ModelUnavailable):
        await ObservedChat(chat, counters).complete(REQUEST)
    await chat.aclose()

    assert dict(counters.errors) == {("big", kind): 1}
    assert kind in ERROR_KINDS
    assert counters.retries["big"] == len(fake_openai.requests) - 1


async def test_a_cancelled_call_counts_as_a_timeout(fake_openai: FakeOpenAI) -> None:
    counters = Counters()
    chat = OpenAIChat("big", fake_openai.base_url, "key")
    fake_openai.otherwise = Answer(delay_s=5)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await ObservedChat(chat, counters).complete(REQUEST.model_copy(update={"deadline_s": 60.0}))
    await chat.aclose()

    assert dict(counters.errors) == {("big", "timeout"): 1}
