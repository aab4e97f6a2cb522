"""The FastAPI application, put together."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema

from triage import __version__
from triage.api import adjudication, batch, events, incidents, labelling, live, reading, triages
from triage.api.bodies import NewAdjudication, NewAnnotation, NewIncident, SearchQuery
from triage.api.description import complete
from triage.api.parameters import refuse_nul
from triage.api.problems import Problem, install
from triage.api.service import Check, Service
from triage.casebook import Casebook
from triage.jobs import Jobs
from triage.live import LiveAgreement, LiveOptions
from triage.store import Store
from triage.taxonomy import Taxonomy

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

_REFERENCES = "#/components/schemas/{model}"
_DESCRIPTION = (
    "Post an incident's write-up; get its category and failure mode with quoted evidence, similar past incidents and "
    "what mitigated them. Every error is a problem document (RFC 9457)."
)


def create_app(
    casebook: Casebook,
    store: Store,
    jobs: Jobs,
    *,
    taxonomies: Mapping[str, Taxonomy],
    checks: Mapping[str, Check] | None = None,
    live_options: LiveOptions | None = None,
    max_write_up_bytes: int = 1_000_000,
    wait_limit_s: float = 120.0,
    lifespan: Lifespan | None = None,
) -> FastAPI:
    """The API over these parts. `checks` are further ones for `/readyz`, such as whether the model answers.

    Without a `lifespan` of the caller's the app starts and stops the `jobs`; what it is given must be open by then.
    """
    app = FastAPI(
        title="triage",
        version=__version__,
        description=_DESCRIPTION,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        lifespan=lifespan or _work(jobs),
        dependencies=[Depends(refuse_nul)],
    )
    app.state.service = Service(
        casebook,
        store,
        jobs,
        LiveAgreement(store, casebook.taxonomy, live_options or LiveOptions()),
        taxonomies,
        checks or {},
        max_write_up_bytes=max_write_up_bytes,
        wait_limit_s=wait_limit_s,
    )
    app.include_router(batch.router)
    app.include_router(incidents.router)
    app.include_router(events.router)
    app.include_router(triages.router)
    app.include_router(labelling.router)
    app.include_router(adjudication.router)
    app.include_router(reading.router)
    app.include_router(live.router)
    install(app)
    _describe(app)
    return app


def _work(jobs: Jobs) -> Lifespan:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        await jobs.start()
        try:
            yield
        finally:
            await jobs.stop()

    return lifespan


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
                    (Problem, "validation"),
                ],
                ref_template=_REFERENCES,
            )
            schema.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
            complete(schema)
            app.openapi_schema = schema
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
