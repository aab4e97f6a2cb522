"""Finished triages over HTTP, in the order in which they were finished: a client that posts many follows along here."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.triage_result import Triage
from triage.server.api.access import Reader
from triage.server.api.answers import Links, links, raw_answer
from triage.server.api.parameters import Cursor, Limit, MomentInQuery
from triage.server.api.problems import documented
from triage.server.api.service import Parts
from triage.store import Finished

router = APIRouter(prefix="/v1/triages", tags=["incidents"])


class FinishedTriage(BaseModel, frozen=True):
    """A triage that is done, and where its incident is."""

    incident_id: str
    created_at: AwareDatetime
    degraded: bool
    links: Links
    triage: Triage | None = Field(default=None, description="The whole of it, if `documents` were asked for.")


class FinishedTriages(BaseModel, frozen=True):
    """Some finished triages, first finished first.

    `next_cursor` is there also on the last page: asked with it later, the list goes on with what was finished since.
    """

    triages: tuple[FinishedTriage, ...]
    next_cursor: str
    has_more: bool


@router.get("", operation_id="list_triages", response_model=FinishedTriages, responses=documented(422))
async def list_triages(
    service: Parts,
    who: Reader,
    limit: Limit = 50,
    cursor: Cursor = None,
    since: Annotated[
        MomentInQuery | None, Query(description="Without a cursor: only what was triaged at this moment or later.")
    ] = None,
    documents: Annotated[bool, Query(description="Whether each item is to hold the whole triage.")] = False,
) -> Response:
    """List triages in the order in which they were finished; one made anew is listed again.

    Whoever goes on from `next_cursor` sees each one once and misses none.
    """
    page = await service.store.finished(limit, cursor, since=since, teams=who.teams)
    items = ",".join(_item(each, with_document=documents) for each in page.triages)
    own = FinishedTriages(triages=(), next_cursor=page.next_cursor, has_more=page.has_more)
    # The documents are passed on as they were stored, not read and written again.
    return raw_answer(f'{{"triages":[{items}],{own.model_dump_json(exclude={"triages"})[1:]}')


def _item(finished: Finished, *, with_document: bool) -> str:
    item = FinishedTriage(
        incident_id=finished.incident_id,
        created_at=finished.created_at,
        degraded=finished.degraded,
        links=links(finished.incident_id),
    ).model_dump_json(exclude={"triage"})
    return f'{item[:-1]},"triage":{finished.document if with_document else "null"}}}'
