"""Finished triages over HTTP, in the order in which they finished, for clients that post many incidents."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.triage_result import Triage
from triage.server.api.access import Reader
from triage.server.api.answers import Links, links, raw_answer
from triage.server.api.parameters import Cursor, Limit, MomentInQuery
from triage.server.api.service import Parts
from triage.store import Finished

router = APIRouter(prefix="/v1/triages", tags=["incidents"])


class FinishedTriage(BaseModel, frozen=True):
    """A finished triage, and the paths of its incident."""

    incident_id: str
    created_at: AwareDatetime
    degraded: bool
    links: Links
    triage: Triage | None = Field(default=None, description="The whole triage, with `documents=true`.")


class FinishedTriages(BaseModel, frozen=True):
    """Finished triages, earliest first.

    The last page has a `next_cursor` too: use it later to continue with triages finished since.
    """

    triages: tuple[FinishedTriage, ...]
    next_cursor: str
    has_more: bool


@router.get("", response_model=FinishedTriages)
async def list_triages(
    service: Parts,
    principal: Reader,
    limit: Limit = 50,
    cursor: Cursor = None,
    since: Annotated[
        MomentInQuery | None, Query(description="Without a cursor: only triages finished at this moment or later.")
    ] = None,
    documents: Annotated[bool, Query(description="Whether each item includes the whole triage.")] = False,
) -> Response:
    """List triages in the order in which they finished; a repeated one is listed again.

    A client that continues from `next_cursor` sees each triage once and misses none.
    """
    page = await service.store.triages.list_finished(limit, cursor, since=since, teams=principal.teams)
    items = ",".join(_item(each, with_document=documents) for each in page.triages)
    rest = FinishedTriages(triages=(), next_cursor=page.next_cursor, has_more=page.has_more)
    # Documents are passed on as stored, without parsing them.
    return raw_answer(f'{{"triages":[{items}],{rest.model_dump_json(exclude={"triages"})[1:]}')


def _item(finished: Finished, *, with_document: bool) -> str:
    item = FinishedTriage(
        incident_id=finished.incident_id,
        created_at=finished.created_at,
        degraded=finished.degraded,
        links=links(finished.incident_id),
    ).model_dump_json(exclude={"triage"})
    return f'{item[:-1]},"triage":{finished.document if with_document else "null"}}}'
