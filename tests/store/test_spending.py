"""What the models took, counted over all processes, and the budget of a day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.fake_openai import Answer, FakeOpenAI, Status
from triage.domain.errors import ModelUnavailable
from triage.models.chat import Message, Request
from triage.models.chat.budget import Budget, BudgetedChat, BudgetUsedUp
from triage.models.chat.openai import OpenAIChat
from triage.models.chat.prices import Price
from triage.models.chat.retry import RetryPolicy
from triage.store import Store, upgrade

REQUEST = Request(messages=(Message(role="user", content="one two three four five"),), max_tokens=50)
PRICE = Price(prompt=1_000, completion=10_000)
DAY = datetime(2026, 11, 25, 23, 59, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def stores(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[list[Store]]:
    """Three on one database, as three processes have them."""
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    if request.param == "postgresql":
        url = request.getfixturevalue("new_database")()
    await upgrade(url)
    stores = [Store(url) for _ in range(3)]
    yield stores
    for store in stores:
        await store.close()


@pytest.fixture
async def chat(fake_openai: FakeOpenAI) -> AsyncIterator[OpenAIChat]:
    chat = OpenAIChat("big", fake_openai.base_url, "key", policy=RetryPolicy(attempts=1))
    fake_openai.otherwise = Answer("six seven")
    yield chat
    await chat.aclose()


async def test_what_calls_took_is_kept_by_day_and_model_over_all_processes(
    stores: list[Store], chat: OpenAIChat
) -> None:
    for place, store in enumerate(stores):
        now = DAY + timedelta(minutes=place)
        await BudgetedChat(chat, store.spending, price=PRICE, now=lambda now=now: now).complete(REQUEST)  # type: ignore[misc]
    await BudgetedChat(chat, stores[0].spending, now=lambda: DAY - timedelta(days=9)).complete(REQUEST)

    days = await stores[0].spending.list(2)
    assert [(one.day, one.calls, one.prompt_tokens, one.completion_tokens) for one in days] == [
        ("2026-11-26", 2, 10, 4),
        ("2026-11-25", 1, 5, 2),
    ]
    assert [one.cost for one in days] == [pytest.approx(0.05), pytest.approx(0.025)]
    assert (await stores[0].spending.list(9))[-1].cost is None  # no price, no cost


async def test_a_budget_ends_the_calls_of_all_processes_until_the_next_day(
    stores: list[Store], chat: OpenAIChat, fake_openai: FakeOpenAI
) -> None:
    now = DAY
    models = [BudgetedChat(chat, store.spending, Budget(tokens=21), now=lambda: now) for store in stores]
    for model in models:
        await model.complete(REQUEST)  # 7 tokens each
    for model in models:
        with pytest.raises(
            BudgetUsedUp, match=r"The budget of 21 tokens for 2026-11-25 is used up \(21 of 21 tokens\)"
        ):
            await model.complete(REQUEST)
    assert len(fake_openai.requests) == 3

    now += timedelta(minutes=1)
    await models[0].complete(REQUEST)


async def test_concurrent_workers_overspend_by_no_more_than_what_is_in_flight(
    stores: list[Store], chat: OpenAIChat, fake_openai: FakeOpenAI
) -> None:
    fake_openai.otherwise = Answer("six seven", delay_s=0.05)
    request = REQUEST.model_copy(update={"max_tokens": 2})
    models = [BudgetedChat(chat, store.spending, Budget(cost=0.5), PRICE, now=lambda: DAY) for store in stores]

    async def ask_on(model: BudgetedChat) -> int:
        answered = 0
        for _ in range(20):
            try:
                await model.complete(request)
            except BudgetUsedUp:
                # What is reserved may be more than what is taken in the end.
                await asyncio.sleep(0.1)
            else:
                answered += 1
        return answered

    answered = sum(await asyncio.gather(*(ask_on(model) for model in models for _ in range(4))))
    taken = (await stores[0].spending.list(1))[0]

    assert taken.calls == answered == len(fake_openai.requests)
    assert taken.cost == pytest.approx(0.025 * answered)
    assert 0.5 <= 0.025 * answered <= 0.5 + 12 * 0.025


async def test_a_call_that_failed_gives_back_its_reservation(
    stores: list[Store], chat: OpenAIChat, fake_openai: FakeOpenAI
) -> None:
    model = BudgetedChat(chat, stores[0].spending, Budget(tokens=60), now=lambda: DAY)
    fake_openai.otherwise = Status(500)
    for _ in range(3):
        with pytest.raises(ModelUnavailable, match="status 500"):
            await model.complete(REQUEST)
    fake_openai.otherwise = Answer("six seven")
    await model.complete(REQUEST)

    assert (await stores[0].spending.list(1))[0].prompt_tokens == 5


async def test_models_that_cost_nothing_take_nothing_of_the_budget(stores: list[Store], chat: OpenAIChat) -> None:
    await BudgetedChat(chat, stores[0].spending, now=lambda: DAY).complete(REQUEST)
    sparing = stores[1].spending.excluding("big")
    assert (await BudgetedChat(chat, sparing, Budget(tokens=1), now=lambda: DAY).complete(REQUEST)).text


async def test_an_answer_is_not_lost_where_the_database_is_away(
    tmp_path: Path, chat: OpenAIChat, caplog: pytest.LogCaptureFixture
) -> None:
    away = Store(f"sqlite:///{tmp_path / 'nothing' / 'here.db'}")
    model = BudgetedChat(chat, away.spending, Budget(tokens=10), now=lambda: DAY)
    assert (await model.complete(REQUEST)).text == "six seven"
    assert "Can't read the daily budget" in caplog.text
    assert (await model.complete(REQUEST)).text
    # It goes on from what it knows itself.
    with pytest.raises(BudgetUsedUp):
        await model.complete(REQUEST)
    await away.close()
