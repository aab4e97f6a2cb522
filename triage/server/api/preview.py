"""The preview of a correction over HTTP: what it would change, before it is made."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from triage.domain.correction_preview import Preview
from triage.labels.preview import DEFAULT_OPTIONS
from triage.server.api.access import Annotator
from triage.server.api.answers import answer
from triage.server.api.bodies import MAX_ANNOTATION_BYTES, NewAnnotation, read_models
from triage.server.api.examples import annotation_body
from triage.server.api.parameters import IncidentInPath
from triage.server.api.problems import documented
from triage.server.api.service import Parts

router = APIRouter(prefix="/v1/incidents", tags=["incidents"])

_DAYS = Query(gt=0, le=365, description="Only incidents that were triaged within so many days.")
_SECONDS = Query(
    ge=0, le=30, description="Begin nothing that can be left out after so long; `not_reached` then names what was."
)
_LIMIT = Query(ge=1, le=500, description="At most so many incidents, those that were triaged last.")


@router.post(
    "/{incident_id}/annotations/preview",
    operation_id="preview_annotations",
    response_model=Preview,
    openapi_extra=annotation_body(),
    responses=documented(404, 413, 415, 422, 503),
)
async def preview_annotations(
    request: Request,
    service: Parts,
    who: Annotator,
    incident_id: IncidentInPath,
    days: Annotated[float, _DAYS] = DEFAULT_OPTIONS.days,
    limit: Annotated[int, _LIMIT] = DEFAULT_OPTIONS.most,
    seconds: Annotated[float, _SECONDS] = DEFAULT_OPTIONS.seconds,
) -> Response:
    """Tell which other recent incidents would be triaged otherwise if these annotations were kept. Nothing is.

    Each incident is decided twice by what its triage keeps of the model and by the history: as it is, and as it would
    be. So a difference is the correction's, and no model is asked. Incidents that were triaged in other circumstances
    (model, prompts, taxonomy, calibrator, embedder) are named with the reason, and so are those for which there was no
    time. A key sees its teams' incidents only.
    """
    given = await read_models(request, NewAnnotation, MAX_ANNOTATION_BYTES)
    options = DEFAULT_OPTIONS._replace(days=days, most=limit, seconds=seconds)
    annotations = [each.annotation(incident_id) for each in given]
    found = await service.previewer.preview(incident_id, annotations, who.teams, options)
    return answer(found, headers={"Cache-Control": "no-store"})
