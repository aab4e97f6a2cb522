"""Incidents over HTTP: post, list, read, summarise, delete."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from triage.domain.errors import NotFound
from triage.domain.principal import actor
from triage.domain.triage_result import Triage
from triage.insights.summary import read_summary
from triage.server.api.access import Poster, Reader, requires
from triage.server.api.answers import IncidentAnswer, IncidentStatus, answer, links, raw_answer
from triage.server.api.bodies import NewIncident, read_incident
from triage.server.api.etags import CONDITIONAL, TAGGED, tagged
from triage.server.api.openapi import Body, reference
from triage.server.api.parameters import (
    PAGED,
    Cursor,
    IdempotencyKey,
    IncidentFilter,
    IncidentInPath,
    Limit,
    PreferredWait,
    TeamHeader,
    next_link,
)
from triage.server.api.problems import TriageFailed, documented
from triage.server.api.service import Parts, Service
from triage.store import Page, StoredIncident

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

EXAMPLE = {
    "title": "Chat completions time out in one region",
    "write_up": (
        "At 09:12 UTC the p99 latency of chat completions in eu-west rose from 2 s to over 60 s and most requests "
        "timed out. Restarting the workers helped for a few minutes. The request router leaked connections to the "
        "workers until it could open no more. We rolled back the router's release and traffic recovered at 09:58."
    ),
    "service": "chat-api",
    "severity": "SEV-2",
    "started_at": "2026-03-02T09:12:00Z",
    "detected_at": "2026-03-02T09:20:00Z",
    "mitigated_at": "2026-03-02T09:58:00Z",
    "attributes": {"region": "eu-west"},
}
_BODY = Body(
    {
        "application/json": {"schema": reference(NewIncident), "example": EXAMPLE},
        "text/markdown": {"schema": {"type": "string"}, "example": f"# {EXAMPLE['title']}\n\n{EXAMPLE['write_up']}"},
        "text/plain": {"schema": {"type": "string"}, "example": EXAMPLE["write_up"]},
    },
    NewIncident,
)
_TRIAGED: dict[int | str, dict[str, Any]] = {
    200: {"model": Triage, "description": "The triage."},
    202: {"model": IncidentStatus, "description": "Not triaged yet: ask again at `links.triage`."},
}
_MARKDOWN: dict[int | str, dict[str, Any]] = TAGGED | {
    200: TAGGED[200]
    | {
        "description": "The draft.",
        "content": {"text/markdown": {"schema": {"type": "string"}, "example": "# Chat completions time out\n"}},
    }
}
_RETRY_AFTER_S = 2


@router.post("", status_code=202, openapi_extra=_BODY, responses=_TRIAGED | documented(409))
async def post_incident(
    request: Request, service: Parts, principal: Poster, key: IdempotencyKey, wait_s: PreferredWait, team: TeamHeader
) -> Response:
    """Post an incident to be triaged.

    Answers 202 as soon as the incident is stored. With `Prefer: wait=N` it answers 200 with the triage if that is done
    within N seconds, else 202. Posting the same incident again does not triage it again: 200 if its triage is done. An
    incident of a team other than `default` is stored as `TEAM:ID`.
    """
    posted = await read_incident(request, service.max_write_up_bytes)
    incident = await service.intake.post(principal, posted, key=key, team=team)
    paths = links(incident.id)
    return await _triage_or_status(
        request, service, incident.id, wait_s, {"Location": paths.incident, "Content-Location": paths.triage}
    )


@router.get("", response_model=Page, responses=PAGED)
async def list_incidents(
    service: Parts,
    request: Request,
    principal: Reader,
    query: IncidentFilter,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List incidents, newest first, without their write-ups. New incidents don't shift the pages."""
    page = await service.store.incidents.list(limit, cursor, query.within(principal.teams))
    return answer(page, headers=next_link(request, page.next_cursor))


@router.get(
    "/{incident_id}", response_model=IncidentAnswer, responses=TAGGED, dependencies=[requires("read"), CONDITIONAL]
)
async def get_incident(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Get an incident and its state."""
    return tagged(request, IncidentAnswer.of(await service.store.incidents.get(incident_id)))


@router.delete("/{incident_id}", status_code=204, response_class=Response, dependencies=[requires("admin")])
async def delete_incident(service: Parts, incident_id: str) -> Response:
    """Delete an incident with its triages, labels, vectors and jobs, and remove it from the history.

    The audit log keeps who deleted it and when. Triages of other incidents that list it as a neighbour keep its
    redacted title and an excerpt.
    """
    await service.casebook.delete(incident_id, actor())
    await service.jobs.forget(incident_id)
    return Response(status_code=204)


@router.get(
    "/{incident_id}/triage",
    responses=_TRIAGED | TAGGED | {200: _TRIAGED[200] | TAGGED[200]},
    dependencies=[requires("read"), CONDITIONAL],
)
async def get_triage(request: Request, service: Parts, incident_id: IncidentInPath, wait_s: PreferredWait) -> Response:
    """Get the triage of an incident: 200, or 202 with its state and `Retry-After` while it is not done."""
    return await _triage_or_status(request, service, incident_id, wait_s)


@router.get(
    "/{incident_id}/summary", response_class=Response, responses=_MARKDOWN, dependencies=[requires("read"), CONDITIONAL]
)
async def get_summary(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Draft a post-incident summary in Markdown from the incident's times, labels and quotes.

    Quotes are verbatim from the write-up and redacted; no model is called. What nobody has recorded or settled appears
    as an open question. An incident without a triage has a summary too.
    """
    return tagged(request, await summary_of(service, incident_id), media_type="text/markdown")


async def summary_of(service: Service, incident_id: str) -> str:
    """The draft. Raises `NotFound`."""
    return await read_summary(service.store, incident_id, service.casebook.taxonomy, service.studies.roles)


async def _triage_or_status(
    request: Request,
    service: Service,
    incident_id: str,
    wait_s: float | None,
    headers: dict[str, str] | None = None,
) -> Response:
    headers = {"Vary": "Prefer"} | (headers or {})
    if wait_s is not None:
        await service.jobs.wait(incident_id, wait_s)
        headers["Preference-Applied"] = f"wait={wait_s:g}"
    stored = await service.store.incidents.get(incident_id)
    if stored.status == "triaged" and (document := await service.store.triages.find_document(incident_id)):
        return tagged(request, document, headers) if request.method == "GET" else raw_answer(document, 200, headers)
    if stored.status == "failed" and stored.retry_at is None:
        raise failed_for_good(stored)
    if stored.status == "imported":
        raise never_triaged(incident_id)
    headers.pop("Content-Location", None)
    return answer(IncidentStatus.of(stored), 202, headers | {"Retry-After": str(_RETRY_AFTER_S)})


def failed_for_good(stored: StoredIncident) -> TriageFailed:
    """The error for an incident whose triage failed and is not retried."""
    return TriageFailed(
        f"{stored.failure} It was tried {stored.attempts} times. Post the incident again to retry.",
        incident_id=stored.incident.id,
    )


def never_triaged(incident_id: str) -> NotFound:
    """The error for the triage of an incident that was imported with its labels."""
    return NotFound(
        f"Incident {incident_id!r} was imported as history and not triaged. Post it to have it triaged.",
        incident_id=incident_id,
    )
