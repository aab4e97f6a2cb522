"""The processes of the service: `open_app` for `triage serve`, `open_worker` for `triage worker`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from triage import __version__
from triage.app.settings import Settings, shown_settings
from triage.app.wiring.components import Components, open_components
from triage.app.wiring.storage import build_notifier, live_options
from triage.domain.errors import MisconfiguredService, TriageError
from triage.domain.taxonomy import Taxonomy, shipped
from triage.history.allocator import limit_arenas
from triage.observability.progress import Progress, silent
from triage.observability.telemetry import traced_process
from triage.server.bind_address import needs_keys

if TYPE_CHECKING:
    from fastapi import FastAPI

    from triage.app.wiring.models import Model
    from triage.pipeline.pipeline import Pipeline
    from triage.server.jobs import Jobs, Role
    from triage.server.metrics import Metrics
    from triage.server.notifications import Notifier

_log = logging.getLogger(__name__)

_CONCURRENCY = 16


@asynccontextmanager
async def open_app(settings: Settings, progress: Progress = silent) -> AsyncIterator[FastAPI]:
    """The ASGI app with everything behind it running: queue, index, model. Serve it on the same event loop."""
    from triage.insights.study import Roles
    from triage.insights.study.checklist import EvalFolders
    from triage.server.api import create_app
    from triage.server.api.authentication import AccessOptions
    from triage.server.api.guard import GuardOptions
    from triage.server.api.service import Check
    from triage.server.web import PageOptions, add_pages

    access = AccessOptions(needs_keys(settings.host, settings.auth), settings.requests_per_key_and_minute)
    guard = GuardOptions(frozenset({settings.host}), access.is_on, settings.cors_origins, settings.request_limit_s)
    if not settings.serve_works:
        _require_shared(settings, "TRIAGE_SERVE_WORKS=false leaves the work to `triage worker`")
    async with _running(settings, "all" if settings.serve_works else "api", progress) as (
        components,
        jobs,
        metrics,
        notifier,
    ):
        taxonomy = components.taxonomy
        app = create_app(
            components.casebook,
            components.store,
            jobs,
            components.previewer,
            taxonomies={name: Taxonomy.load(name) for name in shipped()} | {taxonomy.id: taxonomy},
            checks={"model": Check(lambda: _ping(components.model), is_required=False)},
            live_options=live_options(settings),
            roles=Roles.load(taxonomy, settings.study_roles),
            eval_folders=EvalFolders(settings.suites, settings.runs),
            metrics=metrics,
            access_options=access,
            guard_options=guard,
            notifier=notifier,
            max_write_up_bytes=settings.max_write_up_bytes,
            wait_limit_s=settings.wait_limit_s,
            lifespan=lambda _: nullcontext(),
        )
        warnings = components.pipeline.warnings
        yield add_pages(app, PageOptions(settings.runs, shown_settings(settings), warnings))


@asynccontextmanager
async def open_worker(settings: Settings, progress: Progress = silent) -> AsyncIterator[Jobs]:
    """The jobs of a worker, running. Raises `MisconfiguredService` if it shares no database and index with others."""
    from triage.server.metrics import serve_metrics

    _require_shared(settings, "`triage worker` shares the work with other processes")
    async with _running(settings, "worker", progress) as (components, jobs, metrics, _):

        async def exposition() -> bytes:
            await metrics.workload.refresh(components.store.get_workload, components.casebook.history.size)
            return metrics.exposition()

        if settings.metrics_port is None:
            yield jobs
            return
        async with serve_metrics(exposition, settings.host, settings.metrics_port):
            yield jobs


@asynccontextmanager
async def _running(
    settings: Settings, role: Role, progress: Progress
) -> AsyncIterator[tuple[Components, Jobs, Metrics, Notifier]]:
    """What every process of the service runs: the queue, index updates, metrics, traces and notifications."""
    from triage.server.index_keeper import index_keeper
    from triage.server.jobs import JobOptions, Jobs
    from triage.server.metrics import Metrics

    limit_arenas()
    known_as = "worker" if role == "worker" else "api"
    metrics = Metrics(known_as, daily_cost=settings.daily_cost, daily_tokens=settings.daily_tokens)
    async with (
        traced_process(known_as, __version__, is_on=settings.telemetry, keeps_content=settings.telemetry_content),
        open_components(settings, progress, index_in_memory=False, observer=metrics.models) as components,
        index_keeper(components.casebook),
    ):
        for warning in components.pipeline.warnings:
            _log.warning("%s", warning)
        # Incidents that wait for the model have a provisional triage meanwhile.
        concurrency = settings.concurrency or _CONCURRENCY
        options = JobOptions(concurrency=concurrency, role=role, most_pending=settings.most_pending)
        jobs = Jobs(components.store, components.pipeline, settings.queue_url, options, metrics)
        await jobs.start()
        notifier = build_notifier(settings, components.store, components.taxonomy)
        await notifier.start()
        warm_up = asyncio.create_task(_warm_up(components.pipeline), name="warm up")
        try:
            yield components, jobs, metrics, notifier
        finally:
            warm_up.cancel()
            await asyncio.gather(warm_up, return_exceptions=True)
            await notifier.stop()
            await jobs.stop()


def _require_shared(settings: Settings, reason: str) -> None:
    if settings.queue_url.startswith("sqlite"):
        raise MisconfiguredService(
            f"{reason}, which SQLite can't: set TRIAGE_DATABASE_URL to a PostgreSQL.", setting="database_url"
        )
    if not settings.chroma_url:
        raise MisconfiguredService(
            f"{reason}, which an index in process can't: set TRIAGE_CHROMA_URL to a Chroma server.",
            setting="chroma_url",
        )


async def _warm_up(pipeline: Pipeline) -> None:
    """Let the model read the taxonomy before the first incident waits for it."""
    try:
        await pipeline.prepare()
    except TriageError as error:
        _log.warning("The model did not warm up: %s", error.detail)


async def _ping(model: Model | None) -> str:
    if model is None:
        raise TriageError(
            "No chat model is set (TRIAGE_MODEL=none): labels come from the history and the definitions alone."
        )
    return await model.ping()
