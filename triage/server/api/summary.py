"""The draft of a post-incident summary over HTTP, as Markdown."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from triage.insights.summary import read_summary
from triage.server.api.access import requires
from triage.server.api.etags import CONDITIONAL, TAGGED, tagged
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

_MEDIA_TYPE = "text/markdown"
_MARKDOWN: dict[int | str, dict[str, Any]] = TAGGED | {
    200: TAGGED[200]
    | {
        "description": "The draft.",
        "content": {_MEDIA_TYPE: {"schema": {"type": "string"}, "example": "# Chat completions time out\n"}},
    }
}


@router.get(
    "/{incident_id}/summary", response_class=Response, responses=_MARKDOWN, dependencies=[requires("read"), CONDITIONAL]
)
async def get_summary(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Draft a post-incident summary in Markdown from the incident's times, labels and quotes.

    Quotes are verbatim from the write-up and redacted; no model is called. What nobody has recorded or settled appears
    as an open question. An incident without a triage has a summary too.
    """
    return tagged(request, await summary_of(service, incident_id), media_type=_MEDIA_TYPE)


async def summary_of(service: Service, incident_id: str) -> str:
    """The draft. Raises `NotFound`."""
    return await read_summary(service.store, incident_id, service.casebook.taxonomy, service.studies.roles)
