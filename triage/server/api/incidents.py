"""Incidents over HTTP: post one or many, list, read, summarise, delete."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

import pydantic_core
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field, ValidationError

from triage.domain.errors import Conflict, InvalidInput, NotFound, TriageError
from triage.domain.incident import Incident
from triage.domain.principal import Principal, actor
from triage.domain.triage_result import Triage
from triage.insights.summary import read_summary
from triage.server.api.access import Poster, Reader, requires
from triage.server.api.answers import (
    CONDITIONAL,
    TAGGED,
    IncidentAnswer,
    IncidentStatus,
    Links,
    PendingTriage,
    answer,
    links,
    raw_answer,
    tagged,
)
from triage.server.api.bodies import JSON, NewIncident, decode, media_type, read_bytes, read_incident
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
from triage.server.api.problems import (
    InvalidFields,
    Problem,
    TriageFailed,
    UnsupportedMediaType,
    documented,
    problem_of,
)
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
    202: {
        "model": PendingTriage,
        "description": "Not triaged yet: ask again at `links.triage`. `provisional` is what the answer is without the "
        "chat model.",
    },
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
    """Get the triage of an incident: 200, or 202 with its state and `Retry-After` while it is not done.

    The 202 has a provisional triage as soon as there is one, a second or so before a chat model is asked.
    """
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
    provisional = await service.store.triages.find_provisional(incident_id)
    status = IncidentStatus.of(stored).model_dump_json()
    # Documents are passed on as stored, without parsing them.
    pending = f'{status[:-1]},"provisional":{provisional or "null"}}}'
    return raw_answer(pending, 202, headers | {"Retry-After": str(_RETRY_AFTER_S)})


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


NDJSON = "application/x-ndjson"
_MOST = 1_000
_BATCH_BYTES = 20_000_000


class BatchItem(BaseModel, frozen=True):
    """The outcome for one incident of a batch. `index` counts from 0 in the order of the request.

    `accepted`: stored, and will be triaged. `known`: the same incident was stored before. `conflict`: its id belongs
    to other content. `invalid`: not a valid incident. `problem` explains the last two.
    """

    index: int
    id: str | None
    status: Literal["accepted", "known", "conflict", "invalid"]
    problem: Problem | None = None
    links: Links | None = None


class Batch(BaseModel, frozen=True):
    """The outcome for each incident of a batch, in the order of the request."""

    accepted: int
    known: int
    failed: int
    items: tuple[BatchItem, ...]
    triages: str = Field(description="Where the triages appear as they finish, from now on.")


# An item may be anything: each is validated by itself.
_ITEMS = {"type": "array", "items": {"anyOf": [reference(NewIncident), {}]}, "minItems": 1, "maxItems": _MOST}
_BATCH_BODY = Body(
    {
        JSON: {
            "schema": {
                "type": "object",
                "properties": {"incidents": _ITEMS},
                "required": ["incidents"],
                "additionalProperties": False,
            },
            "example": {"incidents": [EXAMPLE]},
        },
        NDJSON: {"schema": {"type": "string"}, "example": json.dumps(EXAMPLE)},
    },
    NewIncident,
)
_BATCH_OUTCOMES: dict[int | str, dict[str, Any]] = {
    202: {"model": Batch, "description": "Each incident was accepted or known."},
    207: {"model": Batch, "description": "Some incidents were refused; the others were accepted or known."},
}


@router.post("/batch", status_code=202, openapi_extra=_BATCH_BODY, responses=_BATCH_OUTCOMES)
async def post_batch(request: Request, service: Parts, principal: Poster, team_header: TeamHeader) -> Response:
    """Post up to 1,000 incidents of one team, as JSON or as one JSON document a line.

    Each is validated and accepted by itself: an invalid one doesn't hold up the others. Sending the batch again adds
    nothing. Follow the triages at `triages` as they finish.
    """
    team = principal.team(team_header)
    contents = await _contents(request)
    newest = await service.store.triages.get_newest_cursor()
    read = [_read(content, service, team, principal) for content in contents]
    outcomes = iter(await service.intake.take_in_all([each for each in read if isinstance(each, Incident)], team))
    items = [
        _item(request, index, each.id, next(outcomes))
        if isinstance(each, Incident)
        else _item(request, index, None, each)
        for index, each in enumerate(read)
    ]
    accepted, known = (sum(item.status == status for item in items) for status in ("accepted", "known"))
    failed = len(items) - accepted - known
    triages = f"/v1/triages?cursor={newest}"
    batch = Batch(accepted=accepted, known=known, failed=failed, items=tuple(items), triages=triages)
    return answer(batch, 207 if failed else 202)


async def _contents(request: Request) -> Sequence[bytes]:
    """Each incident of the body as JSON."""
    kind = media_type(request)
    if kind not in (JSON, NDJSON):
        raise UnsupportedMediaType(f"Send the incidents as {JSON} or {NDJSON}.", content_type=kind)
    text = decode(await read_bytes(request, _BATCH_BYTES)).removeprefix("\ufeff")
    if kind == NDJSON:
        contents = [line.encode() for line in text.split("\n") if line.strip()]
    else:
        try:
            body = pydantic_core.from_json(text, allow_inf_nan=False)
        except ValueError as error:
            raise InvalidInput(f"is not JSON: {error}", field="body") from error
        if not isinstance(body, dict) or body.keys() != {"incidents"} or not isinstance(body["incidents"], list):
            raise InvalidInput('Send an object with a list: {"incidents": [...]}.', field="incidents")
        contents = [pydantic_core.to_json(each) for each in body["incidents"]]
    if not 1 <= len(contents) <= _MOST:
        raise InvalidInput(f"Send 1 to {_MOST:,} incidents at once, not {len(contents):,}.", field="incidents")
    return contents


def _read(content: bytes, service: Service, team: str, principal: Principal) -> Incident | TriageError:
    """The incident of an item, or the reason why it is not valid."""
    try:
        posted = NewIncident.model_validate_json(content, strict=True)
        if posted.team and posted.team != team:
            raise InvalidInput(f"is {posted.team!r}, but the batch is of team {team!r}: split it.", field="team")
        return service.intake.validated(principal, posted, team)
    except ValidationError as error:
        return InvalidFields.of(error)
    except TriageError as error:
        return error


def _item(request: Request, index: int, incident_id: str | None, outcome: TriageError | bool) -> BatchItem:
    if isinstance(outcome, TriageError):
        status: Literal["conflict", "invalid"] = "conflict" if isinstance(outcome, Conflict) else "invalid"
        return BatchItem(index=index, id=incident_id, status=status, problem=problem_of(request, outcome))
    assert incident_id is not None  # noqa: S101 - only incidents are accepted
    return BatchItem(index=index, id=incident_id, status="accepted" if outcome else "known", links=links(incident_id))
