"""The mitigation ledger: what was tried in past incidents of one kind, and how often it ended them."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import Depends, Query, Request, Response

from triage.insights.ledger import Kind, Ledger, ledger
from triage.insights.ledger_table import ledger_table
from triage.pipeline.mitigation import kind_facets
from triage.server.api.access import Reader
from triage.server.api.service import Parts
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.rendering import page_router, show
from triage.server.web.visible import visible_behind

router = page_router()


async def _asked(
    request: Request,
    service: Parts,
    who: Reader,
    severity: Annotated[str, Query(max_length=50)] = "",
) -> Ledger:
    taxonomy = service.casebook.taxonomy
    chosen = {
        facet.id: labels
        for facet in kind_facets(taxonomy)
        if (labels := [label for label in request.query_params.getlist(facet.id) if label])
    }
    kind = Kind.of(taxonomy, chosen, severity or None)
    records = await service.store.gold.list_incidents(who.teams, kind.has)
    return await asyncio.to_thread(ledger, taxonomy, records, kind)


Asked = Annotated[Ledger, Depends(_asked)]


@router.get("/study/ledger")
async def show_ledger(request: Request, service: Parts, who: Reader, found: Asked) -> Response:
    """Show what ended incidents of a kind."""
    table = ledger_table(found)
    return show(
        request,
        "ledger.html",
        found=found,
        table=table,
        visible=await visible_behind(service, who, [table]),
        facets=kind_facets(service.casebook.taxonomy),
        query=request.url.query,
    )


@router.get("/study/ledger.{ending}")
async def ledger_file(found: Asked, ending: TableFormat) -> Response:
    """The same as a file."""
    return table_file(ledger_table(found), ending)
