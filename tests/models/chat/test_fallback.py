"""The fallback chain and its deadline."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.fake_openai import Answer, FakeOpenAI, Status
from triage.domain.errors import ModelUnavailable
from triage.models.chat import Message, Reply, Request
from triage.models.chat.deadline import GRACE_S, ends_at, within
from triage.models.chat.fallback import Candidate, first_to_answer
from triage.models.chat.openai import OpenAIChat
from triage.models.chat.retry import RetryPolicy

REQUEST = Request(messages=(Message(role="user", content="Why?"),))
CHAIN = (Candidate("big"), Candidate("small"), Candidate("local"))


async def test_if_the_first_model_answers_no_other_is_called() -> None:
    asked = []

    async def ask(place: int) -> str:
        asked.append(place)
        return "yes"

    assert await first_to_answer(CHAIN, ask, 5.0) == ("yes", 0, ())
    assert asked == [0]


async def test_each_failed_model_is_named_with_its_reason() -> None:
    async def ask(place: int) -> str:
        if place < 2:
            raise ModelUnavailable(f"Reason {place}.")
        return "yes"

    answered = await first_to_answer(CHAIN, ask, None)
    assert (answered.result, answered.place) == ("yes", 2)
    assert answered.failures == (("big", "Reason 0."), ("small", "Reason 1."))

    with pytest.raises(ModelUnavailable, match=r"big: Reason 0\. small: Reason 1\."):
        await first_to_answer(CHAIN[:2], ask, None)
    with pytest.raises(ModelUnavailable, match=r"^Reason 0\.$"):
        await first_to_answer(CHAIN[:1], ask, None)


async def test_a_model_that_hangs_leaves_half_of_the_time_to_the_next() -> None:
    left: list[float] = []

    async def ask(place: int) -> str:
        left.append(ends_at() - asyncio.get_running_loop().time())
        if place == 0:
            await asyncio.sleep(60)
        return "yes"

    start = time.perf_counter()
    answered = await first_to_answer(CHAIN[:2], ask, 0.4)

    assert answered.place == 1
    assert left[0] == pytest.approx(0.2, abs=0.05)
    assert time.perf_counter() - start < 0.2 + GRACE_S + 0.3


async def test_the_deadline_is_exceeded_at_most_by_the_grace_even_if_all_models_hang() -> None:
    async def ask(place: int) -> str:
        await asyncio.sleep(60)
        return "never"

    start = time.perf_counter()
    with pytest.raises(ModelUnavailable):
        await first_to_answer(CHAIN, ask, 0.2)
    assert time.perf_counter() - start < 0.2 + GRACE_S + 0.3


async def test_a_model_gets_no_more_than_its_own_time() -> None:
    async def ask(place: int) -> float:
        left = ends_at() - asyncio.get_running_loop().time()
        if place == 0:
            raise ModelUnavailable(f"{left:.0f}")
        return left

    answered = await first_to_answer([Candidate("big", 60.0), Candidate("local")], ask, 600.0)
    assert answered.failures[0].reason == "60"
    assert answered.result == pytest.approx(600, abs=1)


async def test_calls_of_a_hanging_endpoint_end_by_the_deadline_of_the_incident(fake_openai: FakeOpenAI) -> None:
    chat = OpenAIChat("big", fake_openai.base_url, "key")
    fake_openai.otherwise = Answer(delay_s=60)
    start = time.perf_counter()
    with pytest.raises(ModelUnavailable, match="gave no answer within 0 s") as caught:
        async with within(0.3):
            await chat.complete(REQUEST)
    assert caught.value.data["cause"] == "timeout"
    assert time.perf_counter() - start < 0.3 + GRACE_S

    # A wait that would end after the deadline does not start.
    fake_openai.otherwise = Status(429, headers={"retry-after": "30"})
    start = time.perf_counter()
    with pytest.raises(ModelUnavailable, match="asks to wait 30 s"):
        async with within(5.0):
            await chat.complete(REQUEST)
    assert time.perf_counter() - start < 2.0
    await chat.aclose()


async def test_several_calls_share_one_deadline(fake_openai: FakeOpenAI) -> None:
    chat = OpenAIChat("big", fake_openai.base_url, "key", policy=RetryPolicy(attempts=1))
    fake_openai.otherwise = Answer(delay_s=0.2)
    done: list[Reply] = []
    start = time.perf_counter()

    async def ask_ten_times() -> None:
        async with within(0.5):
            for _ in range(10):
                done.append(await chat.complete(REQUEST))  # noqa: PERF401

    with pytest.raises(ModelUnavailable):
        await ask_ten_times()
    await chat.aclose()

    assert 1 <= len(done) <= 2
    assert time.perf_counter() - start < 0.5 + GRACE_S
