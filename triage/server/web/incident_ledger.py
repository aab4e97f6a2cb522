"""The mitigation ledger of an incident's kind: what was tried in others like it, and how often that ended them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple
from urllib.parse import urlencode

from fastapi import Request, Response

from triage.domain.principal import Principal
from triage.domain.taxonomy import Facet
from triage.insights.ledger import Kind, Ledger, ledger
from triage.pipeline.mitigation import kind_facets
from triage.server.api.access import Reader, requires
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.blind import TELLS
from triage.server.web.incident_sections import show_section
from triage.server.web.incident_sheet import read_sheet
from triage.server.web.rendering import page_router
from triage.server.web.visible import visible

router = page_router([requires("read"), TELLS])


class _Found(NamedTuple):
    """The facets that tell the kind of an incident, coarsest first, and the ledger of the kind told by some of them."""

    facets: list[Facet]
    ledger: Ledger

    @property
    def facet(self) -> str:
        """The finest facet of the kind that the ledger is of."""
        return list(self.ledger.labels)[-1]

    @property
    def query(self) -> str:
        """What asks for this kind at the ledger's own page."""
        return urlencode({facet: labels[0] for facet, labels in self.ledger.labels.items()})

    @property
    def incident_ids(self) -> list[str]:
        """The incidents behind the figures."""
        return [name for entry in self.ledger.entries for name in entry.incidents]


@router.get("/incidents/{incident_id}/ledger")
@router.get("/incidents/{incident_id}/ledger/{facet}")
async def show_ledger(
    request: Request, service: Parts, who: Reader, incident_id: IncidentInPath, facet: str = ""
) -> Response:
    """Show the ledger of the incident's kind, as it is told by `facet`; else by the finest one that has figures."""
    found = await _read(request, service, who, incident_id, facet)
    seen = await visible(service, who, found.incident_ids if found else ())
    return show_section(request, service, incident_id, "ledger", found=found, visible=seen)


async def _read(request: Request, service: Service, who: Principal, incident_id: str, facet: str) -> _Found | None:
    """None where nobody has said yet what kind it is of, or the taxonomy has no mitigations."""
    taxonomy = service.casebook.taxonomy
    labels = (await read_sheet(request, service, incident_id)).labels
    facets = [each for each in kind_facets(taxonomy) if labels.get(each.id)]
    if not facets or taxonomy.mitigation is None:
        return None
    kinds = [Kind({one.id: labels[one.id][:1] for one in facets[: n + 1]}) for n in range(len(facets))]
    records = await service.store.gold.list_incidents(who.teams, kinds[0].has)
    ledgers = {
        one.id: await asyncio.to_thread(ledger, taxonomy, records, kind)
        for one, kind in zip(facets, kinds, strict=True)
    }
    telling = [one for one in ledgers.values() if any(entry.withheld is None for entry in one.entries)]
    return _Found(facets, ledgers.get(facet) or (telling or list(ledgers.values())[:1])[-1])
