"""The circuit breaker, on a clock that the tests control."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_openai import FakeOpenAI, Refusal, Status
from triage.domain.errors import ModelUnavailable, UnusableAnswer
from triage.models.chat import Message, Reply, Request
from triage.models.chat.breaker import Breaker, BreakerOpen, BreakerOptions, State
from triage.models.chat.openai import OpenAIChat
from triage.models.chat.retry import RetryPolicy

REQUEST = Request(messages=(Message(role="user", content="Why?"),))
DOWN = ModelUnavailable("It is down.", status=503)
OPTIONS = BreakerOptions(run=3, share=0.5, window=6, cool_down_s=5.0, longest_cool_down_s=15.0)


class Scripted:
    """A model with scripted outcomes. It answers once the script has ended."""

    name = "big"

    def __init__(self, *outcomes: ModelUnavailable | None) -> None:
        self.outcomes = list(outcomes)
        self.asked = 0
        self.held: asyncio.Event | None = None

    async def complete(self, request: Request) -> Reply:
        self.asked += 1
        if self.held is not None:
            await self.held.wait()
        outcome = self.outcomes.pop(0) if self.outcomes else None
        if outcome is not None:
            raise outcome
        return Reply(text="yes")


class Clock:
    """The event loop's clock, moved by the test."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1_000.0
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def ask(breaker: Breaker, times: int = 1) -> list[str]:
    """The outcomes of consecutive calls: `reply`, or the kind of error."""
    outcomes = []
    for _ in range(times):
        try:
            await breaker.complete(REQUEST)
            outcomes.append("reply")
        except ModelUnavailable as error:
            outcomes.append(error.kind)
    return outcomes


async def test_it_opens_after_consecutive_failures_and_then_fails_fast(clock: Clock) -> None:
    model = Scripted(DOWN, DOWN, DOWN)
    breaker = Breaker(model, OPTIONS)

    assert await ask(breaker, 5) == ["model_unavailable"] * 3 + ["breaker_open"] * 2
    assert (model.asked, breaker.state, breaker.failed) == (3, "open", 3)
    with pytest.raises(
        BreakerOpen, match=r"big is not called .* tried again in 5 s\. Last failure: It is down\."
    ) as caught:
        await breaker.complete(REQUEST)
    assert caught.value.data["retry_after_s"] == 5.0


async def test_a_trial_after_the_cool_down_closes_it_or_doubles_the_next_cool_down(clock: Clock) -> None:
    model = Scripted(*[DOWN] * 6)
    changes: list[tuple[str, State]] = []
    breaker = Breaker(model, OPTIONS, lambda name, state: changes.append((name, state)))
    await ask(breaker, 3)

    for cool_down_s in (5.0, 10.0, 15.0):  # the last is the longest allowed
        clock.now += cool_down_s - 0.001
        assert await ask(breaker) == ["breaker_open"]
        clock.now += 0.001
        assert await ask(breaker, 2) == ["model_unavailable", "breaker_open"]
    clock.now += 15.0
    assert await ask(breaker, 2) == ["reply", "reply"]

    assert [state for _, state in changes] == ["open", *["half_open", "open"] * 3, "half_open", "closed"]
    assert {name for name, _ in changes} == {"big"}
    model.outcomes = [DOWN] * 3
    await ask(breaker, 3)
    assert breaker.retry_after_s == 5.0  # back to the first cool-down


async def test_it_opens_at_a_share_of_failures(clock: Clock) -> None:
    breaker = Breaker(Scripted(DOWN, None, DOWN, None, None, DOWN), OPTIONS)

    assert await ask(breaker, 7) == [
        *["model_unavailable", "reply"] * 2, "reply", "model_unavailable", "breaker_open"
    ]  # fmt: skip


@pytest.mark.parametrize(
    "error",
    [
        ModelUnavailable("wrong key", status=401),
        ModelUnavailable("bad request", status=400),
        UnusableAnswer("no label"),
        ModelUnavailable("refused", finish_reason="refusal"),
        ModelUnavailable("over our own limit", cause="own_limit"),
    ],
)
async def test_what_is_not_the_providers_fault_never_opens_it(clock: Clock, error: ModelUnavailable) -> None:
    breaker = Breaker(Scripted(*[error] * 20), OPTIONS)

    assert await ask(breaker, 20) == [error.kind] * 20
    assert breaker.state == "closed"


async def test_only_one_trial_runs_and_a_cancelled_trial_makes_room_for_the_next(clock: Clock) -> None:
    model = Scripted(DOWN, DOWN, DOWN)
    breaker = Breaker(model, OPTIONS)
    await ask(breaker, 3)
    clock.now += 5.0
    model.held = asyncio.Event()
    trial = asyncio.create_task(breaker.complete(REQUEST))
    await asyncio.sleep(0)

    assert await ask(breaker) == ["breaker_open"]
    trial.cancel()
    await asyncio.gather(trial, return_exceptions=True)
    model.held = None
    assert await ask(breaker) == ["reply"]
    assert breaker.state == "closed"


async def test_calls_that_began_before_it_opened_do_not_count(clock: Clock) -> None:
    model = Scripted(*[DOWN] * 4)
    breaker = Breaker(model, OPTIONS)
    model.held = asyncio.Event()
    late = [asyncio.create_task(breaker.complete(REQUEST)) for _ in range(5)]
    await asyncio.sleep(0)
    model.held.set()
    await asyncio.gather(*late, return_exceptions=True)

    assert (breaker.state, breaker.retry_after_s) == ("open", 5.0)


async def test_it_stops_calls_to_a_failing_endpoint_and_a_refusal_is_no_failure(fake_openai: FakeOpenAI) -> None:
    chat = OpenAIChat("big", fake_openai.base_url, "key", policy=RetryPolicy(attempts=1))
    breaker = Breaker(chat, OPTIONS)
    fake_openai.otherwise = Refusal()
    assert await ask(breaker, 4) == ["model_unavailable"] * 4
    fake_openai.otherwise = Status(500)
    assert await ask(breaker, 9) == ["model_unavailable"] * 3 + ["breaker_open"] * 6
    await chat.aclose()

    assert len(fake_openai.requests) == 7


@given(st.lists(st.sampled_from([None, DOWN]), max_size=60), st.lists(st.floats(0, 9), min_size=60, max_size=60))
def test_the_provider_is_called_at_most_once_per_cool_down(
    outcomes: list[ModelUnavailable | None], waits: list[float]
) -> None:
    async def check() -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            clock = Clock(monkeypatch)
            model = Scripted(*outcomes)
            breaker = Breaker(model, OPTIONS)
            for wait_s in waits:
                was_open, may_try, asked = breaker.state == "open", breaker.retry_after_s <= 0, model.asked
                await ask(breaker)
                assert model.asked - asked == (not was_open or may_try)
                assert breaker.retry_after_s <= OPTIONS.longest_cool_down_s
                clock.now += wait_s

    asyncio.run(check())
