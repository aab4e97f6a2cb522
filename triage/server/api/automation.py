"""What past incidents suggest to automate, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Annotated

from fastapi import APIRouter, Query, Response

from triage.domain.taxonomy import Taxonomy
from triage.insights.automation import DEFAULT_CRITERIA, Criteria, Opportunities, opportunities, redacted_texts
from triage.insights.ledger import Record
from triage.redaction import Redactor
from triage.server.api.access import Reader
from triage.server.api.answers import answer
from triage.server.api.problems import documented
from triage.server.api.service import Parts, Service
from triage.store.past import past_incidents

router = APIRouter(prefix="/v1/automation", tags=["history"])

_LEAST = Query(ge=1, le=1000, description="Fewer incidents make no candidate.")
_MOST = Query(gt=0, le=1e6, description="A candidate's median minutes to mitigate are at most these.")
_ACTION = Query(ge=0, le=1e6, description="Minutes that a playbook is taken to need, from detection to mitigation.")


@router.get("", operation_id="get_automation", response_model=Opportunities, responses=documented(422, 500))
async def get_automation(
    service: Parts,
    who: Reader,
    least: Annotated[int, _LEAST] = DEFAULT_CRITERIA.least,
    most_minutes: Annotated[float, _MOST] = DEFAULT_CRITERIA.most_minutes,
    action_minutes: Annotated[float, _ACTION] = DEFAULT_CRITERIA.action_minutes,
) -> Response:
    """Rank the mitigations that could become playbooks: frequent, repeatable and fast in the history the key may see.

    Each has its trigger, when not to run it, what it would save with the interval, and the incidents behind it. Those
    that just are no candidate are listed with the reason. One caller is answered at a time, so a second one waits.
    """
    criteria = DEFAULT_CRITERIA._replace(least=least, most_minutes=most_minutes, action_minutes=action_minutes)
    return answer(await automation_of(service, who.teams, criteria))


async def automation_of(service: Service, teams: Collection[str] | None, criteria: Criteria) -> Opportunities:
    """What the history of these teams (None: of all) and the shared one suggests to automate."""
    async with service.turn:
        records = await past_incidents(service.store, teams)
        return await asyncio.to_thread(_find, service.casebook.taxonomy, records, criteria)


def _find(taxonomy: Taxonomy, records: list[Record], criteria: Criteria) -> Opportunities:
    return opportunities(taxonomy, records, redacted_texts(records, Redactor()), criteria)
