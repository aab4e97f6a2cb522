"""The mitigation ledger: what was tried in past incidents of a kind, and how often it ended them.

It has a page of its own, for a chosen kind, and a section on the page of each incident, for the incident's kind.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query, Response

from triage.domain.taxonomy import Facet
from triage.insights.ledger import Kind, Ledger, ledger, ledger_table
from triage.pipeline.mitigation import kind_facets
from triage.server.api.access import requires
from triage.server.api.history import ledger_of
from triage.server.api.parameters import IncidentInPath
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.incident import read_sheet
from triage.server.web.incident_sections import show_section
from triage.server.web.rendering import page_router
from triage.server.web.visit import REVEALS_LABELS, ReaderVisit, Visit

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


async def _ledger(visit: ReaderVisit, severity: Annotated[str, Query(max_length=50)] = "") -> Ledger:
    query, facets = visit.request.query_params, kind_facets(visit.taxonomy)
    chosen = {facet.id: [label for label in query.getlist(facet.id) if label] for facet in facets}
    kind = Kind.of(visit.taxonomy, {facet: labels for facet, labels in chosen.items() if labels}, severity or None)
    return await ledger_of(visit.service, visit.teams, kind)


OfChosenKind = Annotated[Ledger, Depends(_ledger)]


@router.get("/study/ledger")
async def show_ledger(visit: ReaderVisit, found: OfChosenKind) -> Response:
    """Show the ledger of the chosen kind."""
    table = ledger_table(found)
    visible, facets = await visit.visible_in(table), kind_facets(visit.taxonomy)
    query = visit.request.url.query
    return visit.show("ledger.html", found=found, table=table, visible=visible, facets=facets, query=query)


@router.get("/study/ledger.{extension}")
async def ledger_file(found: OfChosenKind, extension: TableFormat) -> Response:
    """Send the ledger of the chosen kind as a file."""
    return table_file(ledger_table(found), extension)


@router.get("/incidents/{incident_id}/ledger", dependencies=[requires("read"), REVEALS_LABELS])
@router.get("/incidents/{incident_id}/ledger/{facet}", dependencies=[requires("read"), REVEALS_LABELS])
async def show_incident_ledger(visit: ReaderVisit, incident_id: IncidentInPath, facet: str = "") -> Response:
    """Show the ledger of the incident's kind as defined by `facet`, or by the finest facet that has figures."""
    found = await _of_incident(visit, incident_id, facet)
    ids = [id_ for entry in found.ledger.entries for id_ in entry.incidents] if found else []
    return show_section(visit, incident_id, "ledger", found=found, visible=await visit.visible(ids))


async def _of_incident(visit: Visit, incident_id: str, facet: str) -> IncidentLedger | None:
    """None if the incident has no kind yet, or the taxonomy has no mitigations."""
    taxonomy = visit.taxonomy
    labels = (await read_sheet(visit, incident_id)).labels
    facets = [each for each in kind_facets(taxonomy) if labels.get(each.id)]
    if not facets or taxonomy.mitigation is None:
        return None
    kinds = [Kind({each.id: labels[each.id][:1] for each in facets[: n + 1]}) for n in range(len(facets))]
    records = await visit.store.gold.list_incidents(visit.teams, kinds[0].has)
    ledgers = {
        each.id: await asyncio.to_thread(ledger, taxonomy, records, kind)
        for each, kind in zip(facets, kinds, strict=True)
    }
    with_figures = [each for each in ledgers.values() if any(entry.withheld is None for entry in each.entries)]
    return IncidentLedger(facets, ledgers.get(facet) or (with_figures or list(ledgers.values())[:1])[-1])
