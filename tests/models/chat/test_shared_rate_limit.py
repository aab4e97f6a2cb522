"""The rate limit that processes share."""

from __future__ import annotations

import asyncio
import bisect
import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fake_openai import FakeOpenAI, Status
from tests.models.chat import rate_limited_process
from tests.processes import Forked
from triage.domain.errors import ModelUnavailable
from triage.models.chat import Message, Request
from triage.models.chat.deadline import within
from triage.models.chat.gate import Gate, Limits
from triage.models.chat.openai import OpenAIChat
from triage.models.chat.retry import RetryPolicy
from triage.models.chat.shared_rate_limit import BLOCK_S, Rate, SharedRateLimit
from triage.store import Store, upgrade

ROOT = Path(__file__).parents[3]
REQUEST = Request(messages=(Message(role="user", content="Why is that so?"),))


def gcra(
    full_at: float, now: float, amount: float, rate: Rate, ahead_s: float, owed: float = 0.0
) -> tuple[float, float] | None:
    """The generic cell rate algorithm, reserving ahead: the new `full_at` and the seconds to wait, or None.

    `full_at` is when the whole allowance is available again. An amount larger than the burst waits until then, and
    those after it wait longer. Source: ITU-T I.371, annex A.
    """
    after = max(full_at, now) + (amount + owed) * rate.interval_s
    wait_s = after - now - max(rate.burst, amount) * rate.interval_s
    return None if wait_s > ahead_s else (after, max(wait_s, 0.0))


@given(
    st.integers(1, 6_000),
    st.floats(1, 50),
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20)), min_size=1, max_size=80),
    st.floats(1, 120),
)
def test_no_window_sees_more_than_the_limit_and_one_burst(
    per_minute: int, burst: float, asked: list[tuple[float, int]], window_s: float
) -> None:
    rate = Rate("requests", per_minute, burst)
    now, full_at = 1_000.0, 0.0
    starts: list[tuple[float, int]] = []
    for pause_s, amount in asked:
        now += pause_s
        found = gcra(full_at, now, amount, rate, ahead_s=3_600.0)
        if found is not None:
            full_at, wait_s = found
            starts.append((now + wait_s, amount))

    assert [at for at, _ in starts] == sorted(at for at, _ in starts)  # first come, first served
    largest = max([burst, *(amount for _, amount in starts)])
    for first, _ in starts:
        seen = sum(amount for at, amount in starts if first <= at <= first + window_s)
        # A block larger than the burst may fall at the end of the window.
        assert seen <= window_s / rate.interval_s + largest + max(0.0, largest - burst) + 1e-3


@pytest.fixture(params=["sqlite", "postgresql"])
async def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_database")()
    await upgrade(url)
    return url


async def test_the_sql_statement_implements_the_algorithm(url: str) -> None:
    store = Store(url)
    rate, full_at, now = Rate("tokens", 600, 5.0), 0.0, 1_700_000_000.0
    waits = []
    for pause_s, amount, ahead_s, owed in [
        *[(0, 5, 0, 0), (0, 1, 0, 0), (0, 1, 9, 0), (0.05, 2, 9, 7), (0, 80, 9, 0), (0, 1, 9, 0), (60, 1, 0, 0)],
        *[(60, 1, 0, 4), (60, 1, 0, 5)],
    ]:
        now += pause_s
        wanted = gcra(full_at, now, amount, rate, ahead_s, owed)
        found = await store.rate_limits.reserve("any", rate, amount, ahead_s, owed, now)
        assert found == (None if wanted is None else pytest.approx(wanted[1], abs=1e-5))
        full_at = full_at if wanted is None else wanted[0]
        waits.append(found)
    await store.rate_limits.hold("any", rate, 7.0, now)
    held = await store.rate_limits.reserve("any", rate, 5, 60, 0, now)
    elsewhere = await store.rate_limits.reserve("another", rate, 5, 0)
    await store.close()

    assert waits[:2] == [0.0, None]
    assert held == pytest.approx(7.5)
    assert elsewhere == 0.0


@pytest.mark.slow
async def test_three_processes_keep_one_limit(new_database: Callable[[], str], fake_openai: FakeOpenAI) -> None:
    url, per_second, window_s = new_database(), 10, 6.0
    await upgrade(url)
    arguments = (url, fake_openai.base_url, 60 * per_second, 9.0)
    processes = [Forked(rate_limited_process.main, *arguments) for _ in range(3)]
    try:
        for process in processes:
            assert await asyncio.to_thread(process.wait, 60) == 0
    finally:
        for process in processes:
            process.kill()

    times = sorted(fake_openai.times)
    counts = [bisect.bisect_right(times, first + window_s) - place for place, first in enumerate(times)]
    assert max(counts) <= per_second * window_s + per_second  # the burst is a second's worth
    assert len(times) > 0.5 * per_second * (times[-1] - times[0])


async def test_at_a_high_rate_one_reservation_serves_many_calls(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    store = Store(url)
    booked = 0
    reserve = store.rate_limits.reserve

    async def counted(*arguments: object) -> float | None:
        nonlocal booked
        booked += 1
        return await reserve(*arguments)  # type: ignore[arg-type]

    store.rate_limits.reserve = counted  # type: ignore[method-assign, assignment]
    limit = SharedRateLimit(store.rate_limits, "any", Limits(requests_per_minute=6_000))
    for _ in range(50):
        await limit.take(0)
    await store.close()

    assert booked <= 3
    assert 100 * BLOCK_S == 50


async def test_without_the_database_a_process_keeps_to_its_share_and_logs_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = Store(f"sqlite:///{tmp_path / 'nothing' / 'here.db'}")
    limit = SharedRateLimit(store.rate_limits, "any", Limits(requests_per_minute=600))
    start = time.perf_counter()
    with caplog.at_level(logging.WARNING):
        for _ in range(14):
            await limit.take(0)
    took = time.perf_counter() - start
    await store.close()

    assert 0.2 < took < 3
    assert caplog.text.count("this process keeps to 600 requests per minute") == 1


async def test_a_limit_without_room_before_the_deadline_fails_at_once(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    store = Store(url)
    chat = OpenAIChat(
        "any",
        fake_openai.base_url,
        "key",
        gate=Gate(shared=SharedRateLimit(store.rate_limits, "any", Limits(requests_per_minute=2))),
    )
    await chat.complete(REQUEST)
    start = time.perf_counter()
    with pytest.raises(ModelUnavailable, match="TRIAGE_REQUESTS_PER_MINUTE") as caught:
        async with within(5.0):
            await chat.complete(REQUEST)
    await chat.aclose()
    await store.close()

    assert time.perf_counter() - start < 2
    assert caught.value.data["cause"] == "own_limit"
    assert len(fake_openai.requests) == 1


async def test_tokens_are_counted_as_the_answer_reports_them(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    store = Store(url)
    limit = SharedRateLimit(store.rate_limits, "any", Limits(tokens_per_minute=600))
    await limit.take(3)
    limit.settle(40)  # it used 43 tokens; the limit is 10 per second
    start = time.perf_counter()
    async with within(10.0):
        await limit.take(3)
    await store.close()

    assert 3.0 < time.perf_counter() - start < 6.0


async def test_rate_limited_requests_make_other_processes_wait(tmp_path: Path, fake_openai: FakeOpenAI) -> None:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    here, there = Store(url), Store(url)
    limits = Limits(requests_per_minute=6_000)
    gate = Gate(shared=SharedRateLimit(here.rate_limits, "any", limits))
    chat = OpenAIChat("any", fake_openai.base_url, "key", gate=gate, policy=RetryPolicy(attempts=1))
    fake_openai.otherwise = Status(429, headers={"retry-after": "20"})
    async with within(3.0):
        await asyncio.gather(*(chat.complete(REQUEST) for _ in range(20)), return_exceptions=True)
    await asyncio.sleep(0.3)
    with pytest.raises(ModelUnavailable):
        async with within(3.0):
            await SharedRateLimit(there.rate_limits, "any", limits).take(0)
    await chat.aclose()
    await here.close()
    await there.close()
