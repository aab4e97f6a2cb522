"""The FastAPI application, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.middleware.cors import CORSMiddleware

from triage import __version__
from triage.domain.taxonomy import Taxonomy
from triage.history.casebook import Casebook
from triage.insights.live_agreement import LiveAgreement, LiveFigures, LiveOptions
from triage.insights.study import Roles
from triage.insights.study.loading import Studies
from triage.labels.preview import Previewer
from triage.server.api import (
    access,
    adjudication,
    audit,
    automation,
    batch,
    deletion,
    documentation,
    events,
    incidents,
    keys,
    labelling,
    ledger,
    live,
    preview,
    radar,
    reading,
    spending,
    studies,
    subscriptions,
    summary,
    triages,
    webhooks,
)
from triage.server.api.bodies import NewAdjudication, NewAnnotation, NewIncident, SearchQuery
from triage.server.api.description import complete
from triage.server.api.guarding import Guard, GuardOptions
from triage.server.api.keyring import AccessOptions, Keyring
from triage.server.api.keys import NewKey, Rotation
from triage.server.api.parameters import refuse_nul
from triage.server.api.problems import Problem, install
from triage.server.api.service import Check, Service
from triage.server.api.subscriptions import NewSubscription
from triage.server.api.watching import Watching
from triage.server.api.webhooks import NewWebhookSource, SourceSecret
from triage.server.jobs import Jobs
from triage.server.metrics import Metrics
from triage.server.notifications import Notifier
from triage.store import Store

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_REFERENCES = "#/components/schemas/{model}"
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
    metrics: Metrics | None = None,
    access_options: AccessOptions = AccessOptions(),  # noqa: B008 - a value that does not change
    guard_options: GuardOptions = GuardOptions(),  # noqa: B008
    notifier: Notifier | None = None,
    max_write_up_bytes: int = 1_000_000,
    wait_limit_s: float = 120.0,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The API over these parts. `checks` are further ones for `/readyz`, such as whether the model answers.

    Without a `lifespan` of the caller's the app starts and stops the `jobs` and the `notifier`; what it is given must
    be open by then.
    """
    metrics = metrics or jobs.metrics
    casebook.on_accepted = metrics.accepted
    notifier = notifier or Notifier(store, taxonomy=casebook.taxonomy)
    app = FastAPI(
        title="triage",
        version=__version__,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan or _work(jobs, notifier),
        dependencies=[Depends(refuse_nul)],
        # The pages that come with FastAPI load scripts from elsewhere: ours is `documentation.py`.
        docs_url=None,
        redoc_url=None,
    )
    live_options = live_options or LiveOptions()
    watch = LiveAgreement(store, casebook.taxonomy, live_options)
    app.state.service = Service(
        casebook,
        store,
        jobs,
        watch,
        LiveFigures(store, casebook.taxonomy, watch, live_options),
        Studies(store, casebook.taxonomy, roles or Roles.load(casebook.taxonomy), casebook.fingerprint),
        metrics,
        taxonomies,
        checks or {},
        Keyring(store.keys, store.sessions, access_options),
        notifier,
        previewer,
        asyncio.Lock(),
        max_write_up_bytes=max_write_up_bytes,
        wait_limit_s=wait_limit_s,
    )
    app.include_router(batch.router)
    app.include_router(incidents.router)
    app.include_router(preview.router)
    app.include_router(deletion.router)
    app.include_router(events.router)
    app.include_router(triages.router)
    app.include_router(summary.router)
    app.include_router(labelling.router)
    app.include_router(adjudication.router)
    app.include_router(reading.router)
    app.include_router(live.router)
    app.include_router(ledger.router)
    app.include_router(automation.router)
    app.include_router(studies.router)
    app.include_router(radar.router)
    app.include_router(spending.router)
    app.include_router(documentation.router)
    app.include_router(keys.router)
    app.include_router(audit.router)
    app.include_router(subscriptions.router)
    app.include_router(webhooks.router)
    access.check(app)
    install(app)
    _describe(app)
    _guard(app, guard_options)
    _watch(app, metrics)
    return app


def _guard(app: FastAPI, options: GuardOptions) -> None:
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
    # Around Starlette's own outermost layer too, which answers for defects.
    app.build_middleware_stack = lambda: Guard(build(), options)  # type: ignore[method-assign]


def _work(jobs: Jobs, notifier: Notifier) -> Lifespan:
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


def _watch(app: FastAPI, metrics: Metrics) -> None:
    """Put the watching layer around all others, also the one that answers for errors that nobody expected."""
    build = app.build_middleware_stack
    app.build_middleware_stack = lambda: Watching(build(), metrics)  # type: ignore[method-assign]


def _describe(app: FastAPI) -> None:
    """Add to the OpenAPI description what FastAPI can't see: bodies that are read by hand, and problem documents."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = get_openapi(
                title=app.title,
                version=app.version,
                description=app.description,
                license_info=app.license_info,
                routes=app.routes,
            )
            _, definitions = models_json_schema(
                [
                    (NewIncident, "validation"),
                    (NewAnnotation, "validation"),
                    (NewAdjudication, "validation"),
                    (SearchQuery, "validation"),
                    (NewKey, "validation"),
                    (Rotation, "validation"),
                    (NewSubscription, "validation"),
                    (NewWebhookSource, "validation"),
                    (SourceSecret, "validation"),
                    (Problem, "validation"),
                ],
                ref_template=_REFERENCES,
            )
            schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
            access.describe(app, schema)
            complete(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
