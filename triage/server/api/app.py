"""The FastAPI application, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import Depends, FastAPI
from starlette.middleware.cors import CORSMiddleware

from triage import __version__
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.insights.live_agreement import LiveAgreement, LiveFigures, LiveOptions
from triage.insights.study import Roles
from triage.insights.study.checklist import EvalFolders
from triage.insights.study.corpus_loading import Studies
from triage.labels.preview import Previewer
from triage.server.api import (
    access,
    agreement,
    events,
    history,
    incidents,
    keys,
    labelling,
    openapi,
    operations,
    problems,
    subscriptions,
    triages,
    webhooks,
)
from triage.server.api.authentication import AccessOptions, Authenticator
from triage.server.api.guard import Guard, GuardOptions
from triage.server.api.instrumentation import Instrumentation
from triage.server.api.parameters import refuse_nul
from triage.server.api.service import Check, Service
from triage.server.jobs import Jobs
from triage.server.metrics import Metrics
from triage.server.notifications import Notifier
from triage.store import Store

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_ENDPOINTS = (
    incidents,
    labelling,
    events,
    triages,
    history,
    agreement,
    operations,
    openapi,
    keys,
    subscriptions,
    webhooks,
)
_CORS_HEADERS = ["Authorization", "X-API-Key", "X-Team", "Content-Type", "Prefer", "Idempotency-Key", "If-None-Match"]
_CORS_EXPOSED = ["Location", "Retry-After", "ETag", "Preference-Applied", "RateLimit", "RateLimit-Policy"]
_DESCRIPTION = (
    "Post an incident's write-up; get its category and failure mode with quoted evidence, similar past incidents and "
    "what mitigated them. Every error is a problem document (RFC 9457)."
)


def create_app(
    casebook: Casebook,
    store: Store,
    jobs: Jobs,
    previewer: Previewer,
    *,
    taxonomies: Mapping[str, Taxonomy],
    checks: Mapping[str, Check] | None = None,
    live_options: LiveOptions | None = None,
    roles: Roles | None = None,
    eval_folders: EvalFolders = EvalFolders(),  # noqa: B008 - a value that does not change
    metrics: Metrics | None = None,
    access_options: AccessOptions = AccessOptions(),  # noqa: B008 - immutable
    guard_options: GuardOptions = GuardOptions(),  # noqa: B008
    notifier: Notifier | None = None,
    max_write_up_bytes: int = 1_000_000,
    wait_limit_s: float = 120.0,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The API over these parts, which must be open when it serves.

    `checks` are further checks of `/readyz`, such as whether the model answers. Without a `lifespan`, the app starts
    and stops `jobs` and `notifier`.
    """
    metrics = metrics or jobs.metrics
    casebook.on_accepted = metrics.accepted
    notifier = notifier or Notifier(store, taxonomy=casebook.taxonomy)
    app = FastAPI(
        title="triage",
        version=__version__,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan or _running(jobs, notifier),
        dependencies=[Depends(refuse_nul)],
        generate_unique_id_function=lambda route: route.name,
        # FastAPI's own pages load scripts from other hosts: `/docs` replaces them.
        docs_url=None,
        redoc_url=None,
    )
    taxonomy, live_options = casebook.taxonomy, live_options or LiveOptions()
    live = LiveAgreement(store, taxonomy, live_options)
    app.state.service = Service(
        casebook,
        store,
        jobs,
        live,
        LiveFigures(store, taxonomy, live, live_options),
        Studies(store, taxonomy, roles or Roles.load(taxonomy), casebook.fingerprint, live, eval_folders),
        metrics,
        taxonomies,
        checks or {},
        Authenticator(store.keys, store.sessions, access_options),
        notifier,
        previewer,
        asyncio.Lock(),
        max_write_up_bytes=max_write_up_bytes,
        wait_limit_s=wait_limit_s,
    )
    for module in _ENDPOINTS:
        app.include_router(module.router)
    access.check(app)
    problems.install(app)
    openapi.describe(app)
    _add_layers(app, metrics, guard_options)
    return app


def _add_layers(app: FastAPI, metrics: Metrics, options: GuardOptions) -> None:
    if options.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=options.cors_origins,
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=_CORS_HEADERS,
            expose_headers=_CORS_EXPOSED,
            max_age=600,
        )
    build = app.build_middleware_stack
    # Middleware would run inside Starlette's error layer; these also see its answers to unexpected errors.
    app.build_middleware_stack = lambda: Instrumentation(Guard(build(), options), metrics)  # type: ignore[method-assign]


def _running(jobs: Jobs, notifier: Notifier) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await jobs.start()
        await notifier.start()
        try:
            yield
        finally:
            await notifier.stop()
            await jobs.stop()

    return lifespan
