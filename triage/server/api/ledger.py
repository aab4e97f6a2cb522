"""What past incidents teach over HTTP: the mitigation ledger."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from triage.insights.ledger import LEAST, Kind, Ledger, ledger
from triage.server.api.access import Reader
from triage.server.api.answers import answer
from triage.server.api.problems import documented
from triage.server.api.service import Parts
from triage.store.past import past_incidents

router = APIRouter(prefix="/v1/ledger", tags=["history"])

# Which facets there are is the taxonomy's to say, so they are parameters by their ids.
_FACETS: dict[str, Any] = {
    "parameters": [
        {
            "name": "labels",
            "in": "query",
            "required": False,
            "style": "form",
            "explode": True,
            "description": "A parameter for each facet, by its id: only incidents with this label. Given several "
            "times, with any of these labels.",
            "schema": {"type": "object", "additionalProperties": {"type": "string"}},
            "example": {"category": "infrastructure"},
        }
    ]
}
_LEAST = Query(ge=1, le=1000, description="Withhold figures that rest on fewer incidents.")
_SEVERITY = Query(max_length=50, description="Only incidents of this severity, by the incident's own field.")
_OWN = {"least", "incident_severity"}


@router.get("", operation_id="get_ledger", response_model=Ledger, responses=documented(422, 500), openapi_extra=_FACETS)
async def get_ledger(
    request: Request,
    service: Parts,
    who: Reader,
    incident_severity: Annotated[str | None, _SEVERITY] = None,
    least: Annotated[int, _LEAST] = LEAST,
) -> Response:
    """Tell what was tried in incidents of one kind, how often it ended them, and how long that took.

    Counts are those of the history that the key may see: its teams' incidents and the shared ones. Behind each figure
    stand the ids of its incidents; figures that rest on few are withheld.
    """
    taxonomy, query = service.casebook.taxonomy, request.query_params
    given = {name: query.getlist(name) for name in dict.fromkeys(query) if name not in _OWN}
    kind = Kind.of(taxonomy, given, incident_severity)
    records = await past_incidents(service.store, who.teams, kind.has)
    return answer(await asyncio.to_thread(ledger, taxonomy, records, kind, least))
