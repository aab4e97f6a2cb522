"""The progress of one incident as server-sent events, until its triage is done."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field

from triage.domain.errors import NotFound
from triage.server.api.access import requires
from triage.server.api.answers import IncidentStatus
from triage.server.api.incidents import failed_for_good, never_triaged
from triage.server.api.parameters import IncidentInPath
from triage.server.api.problems import problem_of
from triage.server.api.service import Parts, Service
from triage.store import StoredIncident

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

_MEDIA_TYPE = "text/event-stream"
_POLL_S = 1.0
_KEEP_ALIVE_S = 15.0
_RECONNECT_MS = 2_000
# JSON leaves these unescaped, and many clients treat them as line ends.
_ESCAPED = {ord(mark): f"\\u{ord(mark):04x}" for mark in "\x85\u2028\u2029"}
# Keeps proxies from buffering events.
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_EXAMPLE = (
    'id: 0.queued\nevent: status\ndata: {"id":"INC-1042","status":"pending","phase":"queued"}\n\n'
    'id: 0.provisional\nevent: provisional\ndata: {"incident_id":"INC-1042","facets":{},"is_provisional":true}\n\n'
    'id: 0.classify\nevent: status\ndata: {"id":"INC-1042","status":"pending","phase":"classify"}\n\n'
    'id: 0.triaged\nevent: triage\ndata: {"incident_id":"INC-1042","facets":{}}\n\n'
)
# The schema of each event; OpenAPI 3.1 can't describe a stream of them.
_EVENT = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"type": "string", "enum": ["status", "provisional", "triage", "failed"]},
        "data": {"type": "string", "contentMediaType": "application/json"},
    },
}
_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Events `status` and `provisional` (the triage without the model, which is still being asked), then one "
            "`triage` (the triage) or `failed` (a problem document)."
        ),
        "content": {_MEDIA_TYPE: {"schema": _EVENT, "example": _EXAMPLE}},
    },
    204: {"description": "`Last-Event-ID` names the final event: don't reconnect."},
}


class Progress(IncidentStatus, frozen=True):
    """The data of a `status` event: the state of an incident."""

    phase: str = Field(description="`queued`, `running`, a step such as `classify`, or `retry` until the next attempt.")


class _Event(NamedTuple):
    """One event. The id names a state: a client that reconnects with it gets the next one. The data is JSON."""

    id: str
    name: str
    data: str

    @property
    def is_last(self) -> bool:
        return self.name in ("triage", "failed")

    def __str__(self) -> str:
        lines = "".join(f"data: {line}\n" for line in self.data.translate(_ESCAPED).splitlines())
        return f"id: {self.id}\nevent: {self.name}\n{lines}\n"


@router.get("/{incident_id}/events", response_class=Response, responses=_STREAM, dependencies=[requires("read")])
async def follow_incident(
    request: Request,
    service: Parts,
    incident_id: IncidentInPath,
    last_event_id: Annotated[
        str | None, Header(max_length=100, description="The id of the last event received before.")
    ] = None,
) -> Response:
    """Follow an incident by server-sent events until its triage is done.

    Each change of state sends an event, and every 15 seconds without one sends a comment. The `provisional` event comes
    once a connection, and not where no chat model is asked. The stream ends after the `triage` or `failed` event, or at
    the service's time limit: reconnect then, as event sources do.
    """
    stored = await service.store.incidents.get(incident_id)
    if stored.status == "imported":
        raise never_triaged(incident_id)
    event = await _event(request, service, stored)
    if event.is_last and event.id == last_event_id:
        return Response(None, 204)
    return StreamingResponse(
        _stream(request, service, incident_id, last_event_id), headers=_HEADERS, media_type=_MEDIA_TYPE
    )


async def _stream(request: Request, service: Service, incident_id: str, last_id: str | None) -> AsyncIterator[str]:
    end = time.monotonic() + service.wait_limit_s
    sent_at = time.monotonic()
    is_provisional_due = True
    yield f"retry: {_RECONNECT_MS}\n\n"
    with service.jobs.noticed(incident_id) as notice:
        while time.monotonic() < end:
            # Cleared before the state is read, so that no change in between is missed.
            notice.clear()
            try:
                stored = await service.store.incidents.get(incident_id)
                event = await _event(request, service, stored)
            except NotFound:
                return
            if is_provisional_due and not event.is_last and (provisional := await _provisional(service, stored)):
                is_provisional_due = False
                if provisional.id != last_id:
                    last_id, sent_at = provisional.id, time.monotonic()
                    yield str(provisional)
            if event.id != last_id:
                last_id, sent_at = event.id, time.monotonic()
                yield str(event)
            elif time.monotonic() - sent_at >= _KEEP_ALIVE_S:
                sent_at = time.monotonic()
                yield ": keep-alive\n\n"
            if event.is_last:
                return
            # Polls too: another process may do the work, and its notices don't arrive here.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await notice.wait()


async def _provisional(service: Service, stored: StoredIncident) -> _Event | None:
    document = await service.store.triages.find_provisional(stored.incident.id)
    return _Event(f"{stored.attempts}.provisional", "provisional", document) if document else None


async def _event(request: Request, service: Service, stored: StoredIncident) -> _Event:
    incident_id, attempt = stored.incident.id, stored.attempts
    if stored.status == "triaged" and (document := await service.store.triages.find_document(incident_id)):
        return _Event(f"{attempt}.triaged", "triage", document)
    if stored.status == "failed" and stored.retry_at is None:
        return _Event(f"{attempt}.failed", "failed", problem_of(request, failed_for_good(stored)).model_dump_json())
    phase = "retry" if stored.status == "failed" else await service.jobs.phase(stored)
    if phase == "done":
        return await _event(request, service, await service.store.incidents.get(incident_id))
    progress = Progress(phase=phase, **IncidentStatus.of(stored).model_dump())
    return _Event(f"{attempt}.{phase}", "status", progress.model_dump_json())
