"""Search in the history, taxonomies, and the state of the service over HTTP."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request, Response

from triage import __version__
from triage.domain.errors import NotFound, TriageError
from triage.domain.principal import seen_teams
from triage.domain.taxonomy import Taxonomy
from triage.server.api.access import Reader, is_known, requires
from triage.server.api.answers import CheckResult, Neighbours, Readiness, Taxonomies, TaxonomySummary, answer
from triage.server.api.bodies import SearchQuery, read_model
from triage.server.api.etags import TAGGED, IfNoneMatch, tagged
from triage.server.api.examples import search_body
from triage.server.api.problems import documented
from triage.server.api.service import Check, Parts, Service

router = APIRouter()

_CHECK_TIMEOUT_S = 5.0


@router.post(
    "/v1/search",
    tags=["history"],
    operation_id="search",
    response_model=Neighbours,
    openapi_extra=search_body(),
    responses=documented(413, 415, 422, 503),
)
async def search(request: Request, service: Parts, who: Reader) -> Response:
    """Find the incidents of the history that are most similar to a text."""
    query = await read_model(request, SearchQuery, 2 * service.max_write_up_bytes + 1_000)
    teams = seen_teams(who.teams)
    found = await service.casebook.search(query.text, query.k, query.as_of, teams)
    return answer(Neighbours(neighbours=tuple(found)))


@router.get(
    "/v1/taxonomies",
    tags=["taxonomies"],
    operation_id="list_taxonomies",
    response_model=Taxonomies,
    dependencies=[requires("read")],
)
async def list_taxonomies(service: Parts) -> Response:
    """List the taxonomies that can be read."""
    return answer(
        Taxonomies(
            taxonomies=tuple(
                TaxonomySummary(
                    id=taxonomy.id,
                    version=taxonomy.version,
                    title=taxonomy.title,
                    facets=tuple(facet.id for facet in taxonomy.facets),
                    is_in_use=taxonomy.id == service.casebook.taxonomy.id,
                )
                for taxonomy in service.taxonomies.values()
            )
        )
    )


@router.get(
    "/v1/taxonomies/{name}",
    tags=["taxonomies"],
    operation_id="get_taxonomy",
    response_model=Taxonomy,
    responses=TAGGED | documented(404),
    dependencies=[requires("read")],
)
async def get_taxonomy(
    request: Request,
    service: Parts,
    name: str,
    if_none_match: IfNoneMatch = None,  # noqa: ARG001
) -> Response:
    """Read a taxonomy: its facets, and each label's definition."""
    if name not in service.taxonomies:
        raise NotFound(
            f"There is no taxonomy {name!r}. There are: {', '.join(service.taxonomies)}.",
            taxonomy=name,
            available=list(service.taxonomies),
        )
    return tagged(request, service.taxonomies[name])


@router.get("/healthz", tags=["service"], operation_id="healthz")
async def healthz() -> dict[str, str]:
    """Say that the process answers."""
    return {"status": "ok", "version": __version__}


@router.get(
    "/readyz",
    tags=["service"],
    operation_id="readyz",
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "A required part fails."}},
)
async def readyz(request: Request, service: Parts) -> Response:
    """Say for each part of the service whether it works: database, index, queue, and what else was set up.

    Where keys are needed, who has none is told only whether all that is required works.
    """
    readiness = await look(service)
    told = readiness if await is_known(request) else readiness.model_copy(update={"checks": {}})
    return answer(told, 200 if readiness.is_ready else 503)


async def look(service: Service) -> Readiness:
    """Whether each part of the service works, asked now; a part that does not answer within 5 seconds does not."""
    checks = _own_checks(service) | dict(service.checks)
    results = await asyncio.gather(*map(_result, checks.values()))
    is_ready = all(result.is_ok or not result.is_required for result in results)
    return Readiness(is_ready=is_ready, checks=dict(zip(checks, results, strict=True)))


def _own_checks(service: Parts) -> dict[str, Check]:
    async def database() -> str:
        await service.store.ping()
        return "reachable"

    async def index() -> str:
        return f"{await service.casebook.index_size()} incidents"

    async def queue() -> str:
        if not service.jobs.is_running:
            raise TriageError("The queue is not worked on.")
        return "working"

    return {"database": Check(database), "index": Check(index), "queue": Check(queue)}


async def _result(check: Check) -> CheckResult:
    try:
        async with asyncio.timeout(_CHECK_TIMEOUT_S):
            return CheckResult(is_ok=True, is_required=check.is_required, detail=await check.probe())
    except TimeoutError:
        detail = f"no answer within {_CHECK_TIMEOUT_S:g} s"
    except TriageError as error:
        detail = error.detail
    except Exception as error:  # noqa: BLE001 - whatever fails, the answer is that this part does not work
        detail = type(error).__name__
    return CheckResult(is_ok=False, is_required=check.is_required, detail=detail)
