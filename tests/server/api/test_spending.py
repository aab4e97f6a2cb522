"""What models took, over HTTP."""

from __future__ import annotations

import asyncio

import httpx

from triage.models.chat.budget import Taken
from triage.store import Store


def test_spending_is_told_by_day_and_model(client: httpx.Client, database: str) -> None:
    async def spend() -> None:
        store = Store(database)
        await store.spending.add("2026-11-25", "big", Taken(2, 1_200, 34, 0.5), is_priced=True)
        await store.spending.add("2026-11-24", "small", Taken(1, 7, 3), is_priced=False)
        await store.close()

    asyncio.run(spend())
    told = client.get("/v1/spending").json()["spending"]

    assert [(one["day"], one["model"], one["calls"], one["cost"]) for one in told] == [
        ("2026-11-25", "big", 2, 0.5),
        ("2026-11-24", "small", 1, None),
    ]
    assert len(client.get("/v1/spending", params={"days": 1}).json()["spending"]) == 1
    assert client.get("/v1/spending", params={"days": 0}).status_code == 422
