"""The state of the service over HTTP: health, readiness, taxonomies, spending and the audit log."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from triage import __version__
from triage.domain.errors import NotFound, TriageError
from triage.domain.taxonomy import Taxonomy
from triage.server.api.access import Administrator, is_known, requires
from triage.server.api.answers import CONDITIONAL, TAGGED, answer, tagged
from triage.server.api.parameters import Cursor, Limit
from triage.server.api.service import Check, Parts, Service
from triage.store.audit import AuditPage
from triage.store.spending import DaySpending

router = APIRouter()

_CHECK_TIMEOUT_S = 5.0


class CheckResult(BaseModel, frozen=True):
    """The state of one part of the service."""

    is_ok: bool
    is_required: bool
    detail: str


class Readiness(BaseModel, frozen=True):
    """Whether the service is ready: every required part works."""

    is_ready: bool
    checks: dict[str, CheckResult]


class TaxonomySummary(BaseModel, frozen=True):
    """A taxonomy in a list."""

    id: str
    version: str
    title: str
    facets: tuple[str, ...]
    is_in_use: bool


class Taxonomies(BaseModel, frozen=True):
    """The available taxonomies; incidents are triaged with the one in use."""

    taxonomies: tuple[TaxonomySummary, ...]


class SpendingReport(BaseModel, frozen=True):
    """Spending by day (UTC), newest first, and model."""

    spending: tuple[DaySpending, ...]


@router.get("/healthz", tags=["service"])
async def healthz() -> dict[str, str]:
    """Check that the process answers."""
    return {"status": "ok", "version": __version__}


@router.get(
    "/readyz",
    tags=["service"],
    response_model=Readiness,
    responses={503: {"model": Readiness, "description": "A required part fails."}},
)
async def readyz(request: Request, service: Parts) -> Response:
    """Check each part of the service: database, index, queue, and other configured parts.

    If the service requires keys, callers without one see only whether all required parts work.
    """
    readiness = await check_readiness(service)
    shown = readiness if await is_known(request) else readiness.model_copy(update={"checks": {}})
    return answer(shown, 200 if readiness.is_ready else 503)


async def check_readiness(service: Service) -> Readiness:
    """The state of each part of the service now. A part that does not answer within 5 seconds fails."""
    checks = _own_checks(service) | dict(service.checks)
    results = await asyncio.gather(*map(_result, checks.values()))
    is_ready = all(result.is_ok or not result.is_required for result in results)
    return Readiness(is_ready=is_ready, checks=dict(zip(checks, results, strict=True)))


def _own_checks(service: Service) -> dict[str, Check]:
    async def database() -> str:
        await service.store.ping()
        return "reachable"

    async def index() -> str:
        return f"{await service.casebook.history.size()} incidents"

    async def queue() -> str:
        if not service.jobs.is_running:
            raise TriageError("The job queue is not running.")
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
    except Exception as error:  # noqa: BLE001 - any failure means that this part does not work
        detail = type(error).__name__
    return CheckResult(is_ok=False, is_required=check.is_required, detail=detail)


@router.get("/v1/taxonomies", tags=["taxonomies"], response_model=Taxonomies, dependencies=[requires("read")])
async def list_taxonomies(service: Parts) -> Response:
    """List the available taxonomies."""
    summaries = tuple(
        TaxonomySummary(
            **taxonomy.model_dump(include={"id", "version", "title"}),
            facets=tuple(facet.id for facet in taxonomy.facets),
            is_in_use=taxonomy.id == service.casebook.taxonomy.id,
        )
        for taxonomy in service.taxonomies.values()
    )
    return answer(Taxonomies(taxonomies=summaries))


@router.get(
    "/v1/taxonomies/{name}",
    tags=["taxonomies"],
    response_model=Taxonomy,
    responses=TAGGED,
    dependencies=[requires("read"), CONDITIONAL],
)
async def get_taxonomy(request: Request, service: Parts, name: str) -> Response:
    """Get a taxonomy: its facets, and the definition of each label."""
    if name not in service.taxonomies:
        available = list(service.taxonomies)
        raise NotFound(
            f"There is no taxonomy {name!r}. Available: {', '.join(available)}.", taxonomy=name, available=available
        )
    return tagged(request, service.taxonomies[name])


@router.get(
    "/v1/spending", tags=["service"], response_model=SpendingReport, dependencies=[requires("read", all_teams=True)]
)
async def get_spending(service: Parts, days: Annotated[int, Query(ge=1, le=366)] = 7) -> Response:
    """Get the tokens and cost of model calls on the latest days with calls, over all processes.

    Tokens include reservations for running calls. Costs are in US dollars, null where no price is known.
    """
    return answer(SpendingReport(spending=tuple(await service.store.spending.list(days))))


@router.get("/v1/audit", tags=["administration"], response_model=AuditPage)
async def list_audit(
    service: Parts,
    principal: Administrator,
    limit: Limit = 50,
    cursor: Cursor = None,
    incident: Annotated[str | None, Query(max_length=128, description="Only changes to this incident.")] = None,
) -> Response:
    """List who changed what, newest first: labels, deletions, keys, subscriptions.

    A key that is limited to teams sees the changes to these teams.
    """
    return answer(await service.store.audit.list(limit, cursor, incident, principal.teams))
