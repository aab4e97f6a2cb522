"""Calls of a provider as fast as the shared rate limit allows, to be run in a process of their own."""

from __future__ import annotations

import asyncio

from triage.domain.errors import ModelUnavailable
from triage.models.chat import Message, Request
from triage.models.chat.deadline import within
from triage.models.chat.gate import Gate, Limits
from triage.models.chat.openai import OpenAIChat
from triage.models.chat.shared_rate_limit import SharedRateLimit
from triage.store import Store


async def main(database_url: str, base_url: str, per_minute: int, seconds: float) -> None:
    store = Store(database_url)
    gate = Gate(shared=SharedRateLimit(store.rate_limits, "fake", Limits(requests_per_minute=per_minute)))
    chat = OpenAIChat("any", base_url, "key", gate=gate)
    request = Request(messages=(Message(role="user", content="Why?"),))

    async def ask_on() -> None:
        while True:
            await chat.complete(request)

    try:
        async with within(seconds):
            await asyncio.gather(*(ask_on() for _ in range(8)))
    except ModelUnavailable:
        pass
    await chat.aclose()
    await store.close()
