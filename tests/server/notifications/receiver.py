"""A receiver of webhooks behind a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from standardwebhooks.webhooks import Webhook

Answer = Callable[[int], web.StreamResponse]
"""The answer to the n-th message, counted from 1."""


class Receiver:
    """Keeps what it receives and answers as it is told. With `hangs` it never answers."""

    def __init__(self, answer: Answer | None = None, *, hangs: bool = False) -> None:
        self.bodies: list[bytes] = []
        self.headers: list[dict[str, str]] = []
        self.most_at_once = 0
        self.url = ""
        self._answer = answer or (lambda _: web.Response(status=200))
        self._hangs = hangs
        self._at_once = 0
        self._came = asyncio.Event()

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers in self.headers]

    def verified(self, index: int, secret: str) -> Any:
        """What was received, checked as any receiver would check it."""
        return Webhook(secret).verify(self.bodies[index], self.headers[index])

    async def wait_for(self, count: int, timeout_s: float = 60) -> None:
        async with asyncio.timeout(timeout_s):
            while len(self.bodies) < count:
                self._came.clear()
                await self._came.wait()

    async def _receive(self, request: web.Request) -> web.StreamResponse:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            self.bodies.append(await request.read())
            self.headers.append({name.lower(): value for name, value in request.headers.items()})
            self._came.set()
            if self._hangs:
                await asyncio.sleep(60)
            return self._answer(len(self.bodies))
        finally:
            self._at_once -= 1


@asynccontextmanager
async def receiving(answer: Answer | None = None, *, hangs: bool = False) -> AsyncIterator[Receiver]:
    """A receiver at `http://127.0.0.1:<port>/hook`."""
    receiver = Receiver(answer, hangs=hangs)
    app = web.Application()
    app.router.add_post("/hook", receiver._receive)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()
