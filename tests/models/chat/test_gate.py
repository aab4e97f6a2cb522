"""The gate: concurrency, rates, and the order of requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.errors import ModelUnavailable
from triage.models.chat import Message, Request
from triage.models.chat.gate import Bucket, Gate, Limits
from triage.models.chat.retry import Retries, RetryPolicy

QUICK = RetryPolicy(attempts=3, first_wait_s=0.02, longest_wait_s=0.02)


class Refused(Exception):
    """A client library's error for status 429."""

    status_code = 429

    def __init__(self, retry_after: str | None = None) -> None:
        super().__init__("too many requests")
        self.response = type("Response", (), {"headers": {"retry-after": retry_after} if retry_after else {}})


async def test_no_more_requests_than_slots_are_in_flight() -> None:
    gate = Gate(Limits(at_once=3))
    most = 0

    async def call() -> None:
        nonlocal most
        most = max(most, gate.in_flight)
        await asyncio.sleep(0.001)

    await asyncio.gather(*(Retries(gate=gate).call(call, 5) for _ in range(20)))

    assert most == 3
    assert gate.in_flight == 0


async def test_a_call_that_waits_for_its_retry_holds_no_slot() -> None:
    gate = Gate(Limits(at_once=1))
    order: list[str] = []
    noticed: list[int] = []
    gate.on_wait = lambda: noticed.append(gate.waiting)

    async def failing_once() -> None:
        order.append("first")
        if len(order) == 1:
            raise Refused

    async def well() -> None:
        order.append("other")

    retried, _ = await asyncio.gather(
        Retries(policy=QUICK, gate=gate).call(failing_once, 5), Retries(gate=gate).call(well, 5)
    )

    assert order == ["first", "other", "first"]
    assert retried == (None, 1)
    assert (noticed, gate.waiting, gate.retries) == ([1], 0, 1)


async def test_retries_go_before_requests_that_came_earlier() -> None:
    gate = Gate(Limits(at_once=1))
    order: list[str] = []

    async def through(name: str, *, is_retry: bool) -> None:
        async with gate.slot(is_retry=is_retry):
            order.append(name)

    async with asyncio.TaskGroup() as group, gate.slot():
        group.create_task(through("new", is_retry=False))
        group.create_task(through("another new", is_retry=False))
        await asyncio.sleep(0)
        group.create_task(through("retry", is_retry=True))
        await asyncio.sleep(0)
        assert order == []

    assert order == ["retry", "new", "another new"]


async def test_a_call_that_is_cancelled_while_waiting_takes_no_slot() -> None:
    gate = Gate(Limits(at_once=1))

    async def through() -> None:
        async with gate.slot():
            await asyncio.sleep(10)

    holder, waiter = asyncio.create_task(through()), asyncio.create_task(through())
    await asyncio.sleep(0)
    waiter.cancel()
    holder.cancel()
    await asyncio.gather(holder, waiter, return_exceptions=True)

    async with asyncio.timeout(1), gate.slot():
        assert gate.in_flight == 1


async def test_a_call_that_is_admitted_and_cancelled_at_the_same_moment_frees_its_slot() -> None:
    gate = Gate(Limits(at_once=1))

    async def through() -> None:
        async with gate.slot():
            await asyncio.sleep(10)

    async with gate.slot():
        waiter = asyncio.create_task(through())
        await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)

    assert gate.in_flight == 0


async def test_waiting_for_a_slot_does_not_count_against_the_deadline() -> None:
    gate = Gate(Limits(at_once=1))

    async def slow() -> str:
        await asyncio.sleep(0.6)
        return "done"

    both = await asyncio.gather(*(Retries(gate=gate).call(slow, 1.0) for _ in range(2)))

    assert both == [("done", 0), ("done", 0)]


async def test_waits_that_the_endpoint_asks_for_count_as_no_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, made = Gate(), 0

    async def at_once(_seconds: float) -> None:
        """An hour in no time."""

    monkeypatch.setattr(gate, "pause", at_once)

    async def call() -> str:
        nonlocal made
        made += 1
        if made <= 5:
            raise Refused("1")
        return "at last"

    assert await Retries(policy=QUICK, gate=gate).call(call, 60) == ("at last", 5)
    made = -100
    with pytest.raises(ModelUnavailable):
        await Retries(policy=QUICK, gate=gate).call(call, 1.0)
    assert made == -99


async def test_fewer_requests_run_at_once_while_the_endpoint_limits_the_rate() -> None:
    gate = Gate(Limits(at_once=32))
    for _ in range(100):
        gate.record_answer(is_rate_limited=True)
    assert await _let_in(gate, 40) == 16

    for _ in range(2_000):
        gate.record_answer(is_rate_limited=False)
    assert await _let_in(gate, 40) == 32


async def test_an_occasional_rate_limit_changes_nothing() -> None:
    gate = Gate(Limits(at_once=32))
    for n in range(1_000):
        gate.record_answer(is_rate_limited=n % 10 == 0)

    assert await _let_in(gate, 40) == 32


async def _let_in(gate: Gate, wanting: int) -> int:
    async def through() -> None:
        async with gate.slot():
            await asyncio.sleep(10)

    tasks = [asyncio.create_task(through()) for _ in range(wanting)]
    await asyncio.sleep(0.01)
    held = gate.in_flight
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return held


async def test_requests_come_at_the_rate_that_the_provider_allows() -> None:
    gate = Gate(Limits(requests_per_minute=600))
    started = time.monotonic()

    async def call() -> float:
        return time.monotonic() - started

    made = await asyncio.gather(*(Retries(gate=gate).call(call, 5) for _ in range(14)))
    times = sorted(when for when, _ in made)

    # One second's worth at once, then one request per tenth of a second.
    assert all(when - times[0] >= (n - 10) / 10 for n, when in enumerate(times))
    assert times[13] - times[0] >= 0.35


async def test_tokens_beyond_the_estimate_delay_the_next_request() -> None:
    gate = Gate(Limits(tokens_per_minute=6_000))
    request = Request(messages=(Message(role="user", content="word" * 50),))
    assert gate.estimate_tokens(request) == 50
    started = time.monotonic()
    async with gate.slot(50):
        gate.settle(70)
    async with gate.slot(10):
        waited = time.monotonic() - started

    # 120 of 100 tokens are used: the next 10 are available after 0.3 s, at 100 per second.
    assert waited >= 0.28


async def test_a_request_larger_than_the_bucket_goes_through() -> None:
    gate = Gate(Limits(tokens_per_minute=60))

    async with asyncio.timeout(1), gate.slot(5_000):
        assert gate.in_flight == 1


@given(
    st.integers(1, 5_000),
    st.lists(st.floats(0, 5), min_size=1, max_size=60),
    st.sampled_from([lambda n: 1, lambda n: n % 7 + 1]),
)
def test_a_minute_never_exceeds_the_limit_by_more_than_the_capacity(
    per_minute: int, gaps: list[float], amount: Callable[[int], int]
) -> None:
    bucket, now = Bucket(per_minute), 1_000.0
    taken: list[tuple[float, int]] = []
    for n, gap in enumerate(gaps):
        now += gap
        now += bucket.wait_s(amount(n), now)
        assert bucket.wait_s(amount(n), now) < 1e-6
        bucket.take(amount(n), now)
        taken.append((now, amount(n)))
    capacity = max(1.0, per_minute / 60)
    for start, _ in taken:
        within = [n for at, n in taken if start <= at < start + 60]
        # The last may exceed the bucket.
        assert sum(within) <= per_minute + capacity + max(within) + 1e-6
