"""Assignment: who labels which incidents, and whether they see the model's labels first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import Form, Request, Response

from triage.domain.principal import Principal
from triage.labels.annotation_job.assignment import Assigned, assign
from triage.server.api.access import Annotator
from triage.server.api.service import Parts, Service
from triage.server.web.label import TABS
from triage.server.web.rendering import NO_STORE, is_part, page_router, show
from triage.store import IncidentQuery, QueueName

router = page_router()

_PILES: Mapping[QueueName, str] = {
    "new": "New ones: triaged, and labelled by nobody",
    "triaged": "All that were triaged",
    "all": "All, the imported history too",
}
_MOST_COUNTED = 10_000


@router.get("/label/assign")
async def assign_form(request: Request, service: Parts, principal: Annotator) -> Response:
    """Show the form."""
    return await _show(request, service, principal)


@router.post("/label/assign")
async def assign_drawn(
    request: Request,
    service: Parts,
    principal: Annotator,
    annotators: Annotated[str, Form(max_length=2_000)] = "",
    pile: Annotated[QueueName, Form()] = "new",
    limit: Annotated[int, Form(ge=1, le=_MOST_COUNTED)] = 50,
    seed: Annotated[int, Form(ge=0, le=2**31)] = 0,
    per_incident: Annotated[int, Form(ge=1, le=20)] = 2,
    facet: Annotated[list[str], Form(max_length=100)] = [],  # noqa: B006 - FastAPI copies it
    shows_model: Annotated[bool, Form()] = False,
) -> Response:
    """Draw a random sample of incidents that lack annotators, and assign them."""
    assigned = await assign(
        service.store,
        service.casebook.taxonomy,
        annotators.split(","),
        per_incident=per_incident,
        facets=facet,
        incident_ids=await service.store.review_queues.list_ids(pile, IncidentQuery(teams=principal.teams)),
        limit=limit,
        seed=seed,
        shows_model=shows_model,
    )
    return await _show(request, service, principal, assigned, per_incident)


async def _show(
    request: Request, service: Service, principal: Principal, assigned: Assigned | None = None, per_incident: int = 2
) -> Response:
    query = IncidentQuery(teams=principal.teams)
    return show(
        request,
        "_assign.html" if is_part(request) else "assign.html",
        tabs=TABS,
        piles=_PILES,
        counts={pile: await service.store.review_queues.count(pile, query, _MOST_COUNTED) for pile in _PILES},
        most_counted=_MOST_COUNTED,
        facets=service.casebook.taxonomy.facets,
        known=await service.store.assignments.list_annotators(principal.teams),
        assigned=assigned,
        per_incident=per_incident,
        headers=NO_STORE,
    )
