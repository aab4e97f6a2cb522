"""Disagreements and adjudications over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from triage.domain.errors import InvalidInput
from triage.labels.annotation_job.adjudication import DisputedPage, Ruling
from triage.labels.annotation_job.disagreement import Verdict
from triage.server.api.access import Reader, requires
from triage.server.api.answers import Annotations, answer
from triage.server.api.bodies import NewAdjudication, read_models
from triage.server.api.examples import adjudication_body
from triage.server.api.parameters import IncidentInPath
from triage.server.api.problems import documented
from triage.server.api.service import Parts

router = APIRouter(prefix="/v1", tags=["annotation"])

_MAX_BYTES = 1_000_000


class Verdicts(BaseModel, frozen=True):
    """The adjudications of one incident, oldest first, each with the annotations that it was made from."""

    verdicts: tuple[Verdict, ...]


@router.get("/disagreements", operation_id="list_disagreements", response_model=DisputedPage, responses=documented(422))
async def list_disagreements(
    service: Parts,
    who: Reader,
    limit: Annotated[int, Query(ge=1, le=200, description="At most so many incidents.")] = 50,
    cursor: Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")] = None,
    annotator: Annotated[
        str | None, Query(max_length=200, description="Who adjudicates: what they have yet to label is left out.")
    ] = None,
) -> Response:
    """List the incidents on which people disagree and which nobody has settled, newest first, with what each said."""
    return answer(await service.adjudication.page(limit, cursor, annotator, who.teams))


@router.post(
    "/incidents/{incident_id}/adjudications",
    operation_id="post_adjudications",
    status_code=201,
    response_model=Annotations,
    openapi_extra=adjudication_body(),
    responses=documented(404, 409, 413, 415, 422, 503),
    dependencies=[requires("annotate")],
)
async def post_adjudications(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Settle one facet of an incident, or several at once, all or none. The labels are gold from then on.

    Each adjudication keeps in `settles` the ids of the annotations that it was made from. Settling a facet also accepts
    what all say of the facet that it refines.
    """
    given = await read_models(request, NewAdjudication, _MAX_BYTES)
    adjudicators = {each.annotator for each in given}
    if len(adjudicators) > 1:
        raise InvalidInput("Adjudications that are posted together are of one annotator.", field="annotator")
    rulings = [Ruling(each.facet, each.labels, each.note) for each in given]
    kept = await service.adjudication.settle(incident_id, adjudicators.pop(), rulings)
    return answer(Annotations(annotations=tuple(kept)), 201)


@router.get(
    "/incidents/{incident_id}/adjudications",
    operation_id="list_adjudications",
    response_model=Verdicts,
    responses=documented(404),
    dependencies=[requires("read")],
)
async def list_adjudications(service: Parts, incident_id: IncidentInPath) -> Response:
    """Read how an incident's gold labels came about: who settled what, when, and from which annotations."""
    return answer(Verdicts(verdicts=tuple(await service.adjudication.history(incident_id))))
