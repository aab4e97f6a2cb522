"""Whether recent incidents suggest a label that the taxonomy does not have, over HTTP."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Query, Response

from triage.insights.radar import DEFAULT_CRITERIA, RECENT, Criteria, Radar, Scope, look
from triage.server.api.access import Reader
from triage.server.api.answers import answer
from triage.server.api.problems import documented
from triage.server.api.service import Parts, Service

router = APIRouter(prefix="/v1/radar", tags=["history"])

_MOST_EMBEDDED = 100
"""So many write-ups are embedded for one request: with the local embedder that takes some ten seconds."""

_FACET = Query(max_length=100, description="The facet; by default the finest that tells the kind of incident.")
_RECENT = Query(ge=1, le=5000, description="So many incidents, the last to come in, are looked at.")
_LEAST = Query(ge=3, le=1000, description="Fewer distinct incidents make no group.")


@router.get("", operation_id="get_radar", response_model=Radar, responses=documented(422, 500, 503))
async def get_radar(
    service: Parts,
    who: Reader,
    facet: Annotated[str | None, _FACET] = None,
    recent: Annotated[int, _RECENT] = RECENT,
    least: Annotated[int, _LEAST] = DEFAULT_CRITERIA.least,
) -> Response:
    """Group the recent incidents that no label fits, each group with examples and a draft of a label.

    Only incidents of the key's teams and the shared history are looked at. Drafts are worded by rule. Where more
    incidents had to be embedded first than one request takes, `unread` says how many are left: ask again. One
    caller is answered at a time, so a second one waits.
    """
    return answer(await radar_of(service, who.teams, facet, recent, DEFAULT_CRITERIA._replace(least=least)))


async def radar_of(
    service: Service,
    teams: Collection[str] | None,
    facet: str | None = None,
    recent: int = RECENT,
    criteria: Criteria = DEFAULT_CRITERIA,
) -> Radar:
    """What the radar sees among the incidents of these teams (None: of all) and the shared ones."""
    async with service.turn:
        return await look(service.store, service.casebook, Scope(facet, recent, teams, _MOST_EMBEDDED), criteria)
