"""The service, put together: the HTTP API over the durable queue over the desk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from triage.errors import TriageError
from triage.settings import Settings
from triage.taxonomy import Taxonomy, shipped
from triage.wiring import Desk, Progress, build_notifier, live_options, open_desk, silent

if TYPE_CHECKING:
    from fastapi import FastAPI

    from triage.api.service import Check

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_app(settings: Settings, progress: Progress = silent) -> AsyncIterator[FastAPI]:
    """The ASGI app with everything behind it running: queue, index, model. Serve it on the same event loop."""
    from triage.api import create_app
    from triage.jobs import JobOptions, Jobs

    async with open_desk(settings, progress, index_in_memory=False) as desk:
        # The local model answers one incident at a time; a second one in work is redacted and embedded meanwhile.
        options = JobOptions(concurrency=2 if settings.is_local else 16)
        jobs = Jobs(desk.store, desk.pipeline, settings.queue_url, options)
        await jobs.start()
        notifier = build_notifier(settings, desk.store, desk.taxonomy)
        await notifier.start()
        warm_up = asyncio.create_task(_warm_up(desk), name="warm up")
        try:
            yield create_app(
                desk.casebook,
                desk.store,
                jobs,
                taxonomies=_taxonomies(desk.taxonomy),
                checks=_checks(desk),
                live_options=live_options(settings),
                notifier=notifier,
                max_write_up_bytes=settings.max_write_up_bytes,
                wait_limit_s=settings.wait_limit_s,
                lifespan=_running,
            )
        finally:
            warm_up.cancel()
            await asyncio.gather(warm_up, return_exceptions=True)
            await notifier.stop()
            await jobs.stop()


@asynccontextmanager
async def _running(_app: FastAPI) -> AsyncIterator[None]:
    yield


async def _warm_up(desk: Desk) -> None:
    """Let the model read the taxonomy before the first incident waits for it."""
    try:
        await desk.pipeline.prepare()
    except TriageError as error:
        _log.warning("The model did not warm up: %s", error.detail)


def _taxonomies(in_use: Taxonomy) -> Mapping[str, Taxonomy]:
    return {name: Taxonomy.load(name) for name in shipped()} | {in_use.id: in_use}


def _checks(desk: Desk) -> dict[str, Check]:
    from triage.api.service import Check

    async def model() -> str:
        if desk.model is None:
            raise TriageError(
                "No chat model is set (TRIAGE_MODEL=none): labels come from the history and the definitions alone."
            )
        return await desk.model.ping()

    return {"model": Check(model, is_required=False)}
