"""Deleting an incident over HTTP."""

from __future__ import annotations

from fastapi import APIRouter, Response

from triage.domain.principal import actor
from triage.server.api.access import requires
from triage.server.api.problems import documented
from triage.server.api.service import Parts

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])


@router.delete(
    "/{incident_id}",
    operation_id="delete_incident",
    status_code=204,
    response_class=Response,
    dependencies=[requires("admin")],
    responses=documented(404),
)
async def delete_incident(service: Parts, incident_id: str) -> Response:
    """Delete an incident with its triages, labels, vectors and jobs, and take it out of the history.

    What stays is the audit log, which says who deleted it and when, and its redacted title and an excerpt where it is a
    neighbour in the triage of another incident.
    """
    await service.casebook.delete(incident_id, actor())
    await service.jobs.forget(incident_id)
    return Response(status_code=204)
