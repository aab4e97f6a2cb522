"""The draft of a post-incident summary over HTTP, as Markdown."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from triage.insights.summary import read_summary
from triage.server.api.access import requires
from triage.server.api.etags import TAGGED, IfNoneMatch, tagged
from triage.server.api.parameters import IncidentInPath
from triage.server.api.problems import documented
from triage.server.api.service import Parts, Service

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

MEDIA_TYPE = "text/markdown"
_MARKDOWN: dict[int | str, dict[str, Any]] = {
    200: TAGGED[200]
    | {
        "description": "The draft.",
        "content": {MEDIA_TYPE: {"schema": {"type": "string"}, "example": "# Chat completions time out\n"}},
    },
    304: TAGGED[304],
}


@router.get(
    "/{incident_id}/summary",
    operation_id="get_summary",
    response_class=Response,
    responses=_MARKDOWN | documented(404, 500),
    dependencies=[requires("read")],
)
async def get_summary(
    request: Request,
    service: Parts,
    incident_id: IncidentInPath,
    if_none_match: IfNoneMatch = None,  # noqa: ARG001
) -> Response:
    """Draft a post-incident summary in Markdown from the incident's times, labels and quotes.

    Quotes stand in the write-up word for word and are redacted; no model is asked. What nobody has recorded or settled
    stands there as an open question. An incident without a triage has one too.
    """
    return tagged(request, await summary_of(service, incident_id), media_type=MEDIA_TYPE)


async def summary_of(service: Service, incident_id: str) -> str:
    """The draft, in the service's taxonomy and the roles of its labels. Raises `NotFound`."""
    return await read_summary(service.store, incident_id, service.casebook.taxonomy, service.studies.roles)
