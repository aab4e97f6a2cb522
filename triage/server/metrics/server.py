"""`/metrics` of a process that serves nothing else, such as a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from triage.domain.errors import MisconfiguredService


@asynccontextmanager
async def serve_metrics(exposition: Callable[[], Awaitable[bytes]], host: str, port: int) -> AsyncIterator[int]:
    """Answer `GET /metrics` with what `exposition` gives, on this event loop; yields the port.

    Raises `MisconfiguredService` where the port can't be had.
    """
    from aiohttp import web
    from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=await exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise MisconfiguredService(
                f"Metrics can't be served on {host}:{port} ({error.strerror or error}): set TRIAGE_METRICS_PORT to "
                "another port, or unset it.",
                setting="metrics_port",
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
