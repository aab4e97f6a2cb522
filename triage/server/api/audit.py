"""The audit log over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response

from triage.server.api.access import Administrator
from triage.server.api.answers import answer
from triage.server.api.problems import documented
from triage.server.api.service import Parts
from triage.store.audit import AuditPage

router = APIRouter(prefix="/v1", tags=["administration"])


@router.get("/audit", operation_id="list_audit", response_model=AuditPage, responses=documented(422))
async def list_audit(
    service: Parts,
    who: Administrator,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(max_length=100, description="`next_cursor` of the page before.")] = None,
    incident: Annotated[str | None, Query(max_length=128, description="Only changes to this incident.")] = None,
) -> Response:
    """List who changed what, newest first: labels, deletions, keys, subscriptions.

    A key that is limited to teams sees the changes to these teams.
    """
    return answer(await service.store.audit.page(limit, cursor, incident, who.teams))
