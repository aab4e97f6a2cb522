"""The mitigation ledger: what was tried in past incidents of a kind, and how often it ended them.

It has a page of its own, for a chosen kind, and a section on the page of each incident, for the incident's kind.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response

from triage.domain.principal import Principal
from triage.domain.taxonomy import Facet
from triage.insights.ledger import Kind, Ledger, ledger, ledger_table
from triage.pipeline.mitigation import kind_facets
from triage.server.api.access import Reader, requires
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import REVEALS_LABELS
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.incident_lists import visible_in_tables, visible_incidents
from triage.server.web.incident_sections import show_section
from triage.server.web.label_sheet import read_sheet
from triage.server.web.rendering import page_router, show

router = page_router()


class IncidentLedger(NamedTuple):
    """The facets that define the kind of an incident, coarsest first, and the ledger for some of them."""

    facets: list[Facet]
    ledger: Ledger

    @property
    def facet(self) -> str:
        """The finest facet of the ledger's kind."""
        return list(self.ledger.labels)[-1]

    @property
    def query(self) -> str:
        """The query string that selects this kind on the ledger's own page."""
        return urlencode({facet: labels[0] for facet, labels in self.ledger.labels.items()})


async def _ledger(
    request: Request, service: Parts, principal: Reader, severity: Annotated[str, Query(max_length=50)] = ""
) -> Ledger:
    taxonomy = service.casebook.taxonomy
    chosen = {
        facet.id: labels
        for facet in kind_facets(taxonomy)
        if (labels := [label for label in request.query_params.getlist(facet.id) if label])
    }
    kind = Kind.of(taxonomy, chosen, severity or None)
    records = await service.store.gold.list_incidents(principal.teams, kind.has)
    return await asyncio.to_thread(ledger, taxonomy, records, kind)


OfChosenKind = Annotated[Ledger, Depends(_ledger)]


@router.get("/study/ledger")
async def show_ledger(request: Request, service: Parts, principal: Reader, found: OfChosenKind) -> Response:
    """Show the ledger of the chosen kind."""
    table = ledger_table(found)
    return show(
        request,
        "ledger.html",
        found=found,
        table=table,
        visible=await visible_in_tables(service, principal, [table]),
        facets=kind_facets(service.casebook.taxonomy),
        query=request.url.query,
    )


@router.get("/study/ledger.{extension}")
async def ledger_file(found: OfChosenKind, extension: TableFormat) -> Response:
    """Send the ledger of the chosen kind as a file."""
    return table_file(ledger_table(found), extension)


@router.get("/incidents/{incident_id}/ledger", dependencies=[requires("read"), REVEALS_LABELS])
@router.get("/incidents/{incident_id}/ledger/{facet}", dependencies=[requires("read"), REVEALS_LABELS])
async def show_incident_ledger(
    request: Request, service: Parts, principal: Reader, incident_id: IncidentInPath, facet: str = ""
) -> Response:
    """Show the ledger of the incident's kind as defined by `facet`, or by the finest facet that has figures."""
    found = await _of_incident(request, service, principal, incident_id, facet)
    ids = [id_ for entry in found.ledger.entries for id_ in entry.incidents] if found else []
    visible = await visible_incidents(service, principal, ids)
    return show_section(request, service, incident_id, "ledger", found=found, visible=visible)


async def _of_incident(
    request: Request, service: Service, principal: Principal, incident_id: str, facet: str
) -> IncidentLedger | None:
    """None if the incident has no kind yet, or the taxonomy has no mitigations."""
    taxonomy = service.casebook.taxonomy
    labels = (await read_sheet(request, service, incident_id)).labels
    facets = [each for each in kind_facets(taxonomy) if labels.get(each.id)]
    if not facets or taxonomy.mitigation is None:
        return None
    kinds = [Kind({each.id: labels[each.id][:1] for each in facets[: n + 1]}) for n in range(len(facets))]
    records = await service.store.gold.list_incidents(principal.teams, kinds[0].has)
    ledgers = {
        each.id: await asyncio.to_thread(ledger, taxonomy, records, kind)
        for each, kind in zip(facets, kinds, strict=True)
    }
    with_figures = [each for each in ledgers.values() if any(entry.withheld is None for entry in each.entries)]
    return IncidentLedger(facets, ledgers.get(facet) or (with_figures or list(ledgers.values())[:1])[-1])
