"""What the models took, over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel

from triage.server.api.access import requires
from triage.server.api.answers import answer
from triage.server.api.problems import documented
from triage.server.api.service import Parts
from triage.store.spending import DaySpending

router = APIRouter()


class SpendingReport(BaseModel, frozen=True):
    """By day (UTC), newest first, and model."""

    spending: tuple[DaySpending, ...]


@router.get(
    "/v1/spending",
    tags=["service"],
    operation_id="get_spending",
    response_model=SpendingReport,
    dependencies=[requires("read", all_teams=True)],
    responses=documented(422),
)
async def get_spending(service: Parts, days: Annotated[int, Query(ge=1, le=366)] = 7) -> Response:
    """Tell what the models took on the latest days on which they were asked, counted over all processes.

    Reservations of calls that are under way are among the tokens. A cost is in US dollars, and null where no price is
    known.
    """
    return answer(SpendingReport(spending=tuple(await service.store.spending.days(days))))
