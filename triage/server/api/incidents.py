"""Incidents over HTTP: post, list, read, annotate."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response
from pydantic import TypeAdapter, ValidationError

from triage.domain.errors import NotFound
from triage.domain.incident import IncidentId
from triage.domain.triage_result import Triage
from triage.server.api.acceptance import checked_team, take_in
from triage.server.api.access import Poster, Reader, requires
from triage.server.api.answers import (
    RETRY_AFTER_S,
    Annotations,
    IncidentAnswer,
    IncidentStatus,
    answer,
    links,
    preferred_wait,
    raw_answer,
)
from triage.server.api.bodies import MAX_ANNOTATION_BYTES, NewAnnotation, read_incident, read_models
from triage.server.api.etags import TAGGED, IfMatch, IfNoneMatch, expected, tagged, tagged_annotations
from triage.server.api.examples import annotation_body, incident_body
from triage.server.api.parameters import (
    LINK,
    Cursor,
    IdempotencyKey,
    IncidentInPath,
    Limit,
    next_link,
    wanted_incidents,
)
from triage.server.api.problems import FieldError, InvalidFields, TriageFailed, documented
from triage.server.api.service import Parts, Service
from triage.store import Page, StoredIncident, Wanted

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

_ID = TypeAdapter[str](IncidentId)

_PAGED: dict[int | str, dict[str, Any]] = {200: {"headers": LINK}}
_TRIAGED: dict[int | str, dict[str, Any]] = {
    200: {"model": Triage, "description": "The triage."},
    202: {"model": IncidentStatus, "description": "Not triaged yet: ask again at `links.triage`."},
}


@router.post(
    "",
    operation_id="post_incident",
    status_code=202,
    openapi_extra=incident_body(),
    responses=_TRIAGED | documented(409, 413, 415, 422, 500, 503),
)
async def post_incident(
    request: Request,
    service: Parts,
    who: Poster,
    idempotency_key: IdempotencyKey = None,
    prefer: Annotated[str | None, Header(examples=["wait=30"], description="`wait=N`: seconds to wait.")] = None,  # noqa: ARG001
    x_team: Annotated[str | None, Header(description="The team, where the body names none.")] = None,
) -> Response:
    """Post an incident to be triaged.

    Answers 202 as soon as it is safely stored. With `Prefer: wait=N` it answers 200 with the triage if that is done
    within N seconds, else 202. The same incident posted again is not triaged again: 200 if its triage is done.
    An incident of a team other than `default` is kept as `TEAM:ID`.
    """
    posted = await read_incident(request, service.max_write_up_bytes)
    incident = await take_in(service, who, posted, _checked_key(idempotency_key), checked_team(x_team))
    return await _triage_or_status(request, service, incident.id, location=True)


@router.get("", operation_id="list_incidents", response_model=Page, responses=_PAGED | documented(422))
async def list_incidents(
    service: Parts,
    request: Request,
    who: Reader,
    wanted: Annotated[Wanted, Depends(wanted_incidents)],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """List incidents, newest first, without their write-ups. What comes in meanwhile shifts no page."""
    page = await service.store.page(limit, cursor, wanted.within(who.teams))
    return answer(page, headers=next_link(request, page.next_cursor))


@router.get(
    "/{incident_id}",
    operation_id="get_incident",
    response_model=IncidentAnswer,
    responses=TAGGED | documented(404),
    dependencies=[requires("read")],
)
async def get_incident(
    request: Request,
    service: Parts,
    incident_id: IncidentInPath,
    if_none_match: IfNoneMatch = None,  # noqa: ARG001
) -> Response:
    """Read an incident and how far it is."""
    return tagged(request, IncidentAnswer.of(await service.store.incident(incident_id)))


@router.get(
    "/{incident_id}/triage",
    operation_id="get_triage",
    responses=_TRIAGED | TAGGED | {200: _TRIAGED[200] | TAGGED[200]} | documented(404, 500),
    dependencies=[requires("read")],
)
async def get_triage(
    request: Request,
    service: Parts,
    incident_id: IncidentInPath,
    prefer: Annotated[str | None, Header(examples=["wait=30"], description="`wait=N`: seconds to wait.")] = None,  # noqa: ARG001
    if_none_match: IfNoneMatch = None,  # noqa: ARG001
) -> Response:
    """Read the triage of an incident: 200, or 202 with its status and `Retry-After` while it is not done."""
    return await _triage_or_status(request, service, incident_id)


@router.post(
    "/{incident_id}/annotations",
    operation_id="post_annotations",
    status_code=201,
    response_model=Annotations,
    openapi_extra=annotation_body(),
    responses=documented(404, 412, 413, 415, 422, 503),
    dependencies=[requires("annotate")],
)
async def post_annotations(
    request: Request, service: Parts, incident_id: IncidentInPath, if_match: IfMatch = None
) -> Response:
    """Label an incident: one annotation or a list of them, all or none.

    With a gold label the incident joins the history at once. The latest annotation of one annotator for one facet
    counts; a gold one is withdrawn by the same annotator's annotation without `is_gold`. What an annotator said before
    and says again is not kept twice. With `If-Match` nothing is kept if the incident's annotations changed since.
    """
    given = await read_models(request, NewAnnotation, MAX_ANNOTATION_BYTES)
    kept = await service.casebook.annotate(
        incident_id, [each.annotation(incident_id) for each in given], expected(if_match)
    )
    return answer(Annotations(annotations=tuple(kept)), 201)


@router.get(
    "/{incident_id}/annotations",
    operation_id="list_annotations",
    response_model=Annotations,
    responses=TAGGED | documented(404),
    dependencies=[requires("read")],
)
async def list_annotations(
    request: Request,
    service: Parts,
    incident_id: IncidentInPath,
    if_none_match: IfNoneMatch = None,  # noqa: ARG001
) -> Response:
    """List the annotations of an incident, oldest first."""
    await service.store.incident(incident_id)
    return tagged_annotations(request, await service.store.annotations(incident_id))


async def _triage_or_status(
    request: Request, service: Service, incident_id: str, *, location: bool = False
) -> Response:
    places = links(incident_id)
    headers = {"Vary": "Prefer"}
    if location:
        headers |= {"Location": places.incident, "Content-Location": places.triage}
    wait_s = preferred_wait(request, service.wait_limit_s)
    if wait_s is not None:
        await service.jobs.wait(incident_id, wait_s)
        headers["Preference-Applied"] = f"wait={wait_s:g}"
    stored = await service.store.incident(incident_id)
    if stored.status == "triaged" and (document := await service.store.triage_document(incident_id)):
        return tagged(request, document, headers) if request.method == "GET" else raw_answer(document, 200, headers)
    if stored.status == "failed" and stored.retry_at is None:
        raise failed_for_good(stored)
    if stored.status == "imported":
        raise never_triaged(incident_id)
    return _status(stored, headers)


def failed_for_good(stored: StoredIncident) -> TriageFailed:
    """Why an incident has no triage and gets none by itself."""
    return TriageFailed(
        f"{stored.failure} It was tried {stored.attempts} times. Post the incident again to have it tried anew.",
        incident_id=stored.incident.id,
    )


def never_triaged(incident_id: str) -> NotFound:
    """Why an incident that came in with its labels has no triage."""
    return NotFound(
        f"Incident {incident_id!r} came in as history and was not triaged. Post it to have it triaged.",
        incident_id=incident_id,
    )


def _status(stored: StoredIncident, headers: dict[str, str]) -> Response:
    headers = {name: value for name, value in headers.items() if name != "Content-Location"}
    return answer(IncidentStatus.of(stored), 202, headers | {"Retry-After": str(RETRY_AFTER_S)})


def _checked_key(key: str | None) -> str:
    if not key:
        return ""
    try:
        # The header's draft standard puts the key into quotes.
        return _ID.validate_python(key.strip().strip('"'))
    except ValidationError as error:
        raise InvalidFields(
            [
                FieldError(
                    field="Idempotency-Key",
                    message="must be 1 to 128 letters, digits, '.', '_', ':' or '-', and start with a letter or digit",
                )
            ]
        ) from error
