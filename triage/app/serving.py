"""The service, put together: the HTTP API over the durable queue over the desk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple

from triage import __version__
from triage.app.settings import Settings, told
from triage.app.wiring import Desk, build_notifier, live_options, open_desk
from triage.domain.errors import MisconfiguredService, TriageError
from triage.domain.taxonomy import Taxonomy, shipped
from triage.history.allocator import keep_together
from triage.observability.progress import Progress, silent
from triage.observability.telemetry import traced_process
from triage.server.bind_address import needs_keys

if TYPE_CHECKING:
    from fastapi import FastAPI

    from triage.server.api.service import Check
    from triage.server.jobs import JobOptions, Jobs, Role
    from triage.server.metrics import Metrics
    from triage.server.notifications import Notifier

_log = logging.getLogger(__name__)


class AtWork(NamedTuple):
    """The parts of a process of the service, at work."""

    desk: Desk
    jobs: Jobs
    metrics: Metrics
    notifier: Notifier


@asynccontextmanager
async def open_app(settings: Settings, progress: Progress = silent) -> AsyncIterator[FastAPI]:
    """The ASGI app with everything behind it running: queue, index, model. Serve it on the same event loop."""
    from triage.insights.study import Roles
    from triage.server.api import create_app
    from triage.server.api.authentication import AccessOptions
    from triage.server.api.guard import GuardOptions
    from triage.server.web import PageOptions, add_pages

    access = AccessOptions(needs_keys(settings.host, settings.auth), settings.requests_per_key_and_minute)
    guard = GuardOptions(frozenset({settings.host}), access.is_on, settings.cors_origins, settings.request_limit_s)
    if not settings.serve_works:
        _require_shared(settings, "TRIAGE_SERVE_WORKS=false leaves the work to `triage worker`")
    async with _at_work(settings, "all" if settings.serve_works else "api", progress) as (
        desk,
        jobs,
        metrics,
        notifier,
    ):
        app = create_app(
            desk.casebook,
            desk.store,
            jobs,
            desk.previewer,
            taxonomies=_taxonomies(desk.taxonomy),
            checks=_checks(desk),
            live_options=live_options(settings),
            roles=Roles.load(desk.taxonomy, settings.study_roles),
            metrics=metrics,
            access_options=access,
            guard_options=guard,
            notifier=notifier,
            max_write_up_bytes=settings.max_write_up_bytes,
            wait_limit_s=settings.wait_limit_s,
            lifespan=_running,
        )
        yield add_pages(app, PageOptions(settings.runs, settings.suites, told(settings)))


@asynccontextmanager
async def open_worker(settings: Settings, progress: Progress = silent) -> AsyncIterator[Jobs]:
    """A process that works on the queue that others fill. Raises `MisconfiguredService` where nothing is shared."""
    from triage.server.metrics.server import serve_metrics

    _require_shared(settings, "`triage worker` shares the work with other processes")
    async with _at_work(settings, "worker", progress) as (desk, jobs, metrics, _):

        async def exposition() -> bytes:
            await metrics.workload.refresh(desk.store.workload, desk.casebook.index_size)
            return metrics.exposition()

        if settings.metrics_port is None:
            yield jobs
            return
        async with serve_metrics(exposition, settings.host, settings.metrics_port):
            yield jobs


@asynccontextmanager
async def _at_work(settings: Settings, role: Role, progress: Progress) -> AsyncIterator[AtWork]:
    """What every process of a service does beside its own task: queue or work, keep the index, count and trace."""
    from triage.server.index_keeper import index_keeper
    from triage.server.jobs import Jobs
    from triage.server.metrics import Metrics

    keep_together()
    known_as = "worker" if role == "worker" else "api"
    metrics = Metrics(known_as, daily_cost=settings.daily_cost, daily_tokens=settings.daily_tokens)
    async with (
        traced_process(known_as, __version__, is_on=settings.telemetry, keeps_content=settings.telemetry_content),
        open_desk(settings, progress, index_in_memory=False, observer=metrics.models) as desk,
        index_keeper(desk.casebook),
    ):
        jobs = Jobs(desk.store, desk.pipeline, settings.queue_url, _job_options(settings, role), metrics)
        await jobs.start()
        notifier = build_notifier(settings, desk.store, desk.taxonomy)
        await notifier.start()
        warm_up = asyncio.create_task(_warm_up(desk), name="warm up")
        try:
            yield AtWork(desk, jobs, metrics, notifier)
        finally:
            warm_up.cancel()
            await asyncio.gather(warm_up, return_exceptions=True)
            await notifier.stop()
            await jobs.stop()


def _job_options(settings: Settings, role: Role) -> JobOptions:
    from triage.server.jobs import JobOptions

    # The local model answers one incident at a time; a second one in work is redacted and embedded meanwhile.
    concurrency = settings.concurrency or (2 if settings.is_local else 16)
    return JobOptions(concurrency=concurrency, role=role, most_pending=settings.most_pending)


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
    from triage.server.api.service import Check

    async def model() -> str:
        if desk.model is None:
            raise TriageError(
                "No chat model is set (TRIAGE_MODEL=none): labels come from the history and the definitions alone."
            )
        return await desk.model.ping()

    return {"model": Check(model, is_required=False)}
