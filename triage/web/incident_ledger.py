"""The mitigation ledger of an incident's kind: what was tried in others like it, and how often that ended them."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from fastapi import Request, Response

from triage.access import Principal
from triage.api.access import Reader
from triage.api.parameters import IncidentInPath
from triage.api.service import Parts, Service
from triage.errors import NotFound
from triage.ledger import Entry, Kind, Ledger, ledger
from triage.mitigation import kind_facets
from triage.notifying.message import Names
from triage.store.past import past_incidents
from triage.tables import Column, Row, Table, written
from triage.taxonomy import Facet, Taxonomy
from triage.web.downloads import TableFormat, table_file
from triage.web.incident import visible
from triage.web.incident_sheet import read_sheet
from triage.web.rendering import page_router, show

router = page_router()


class _Found(NamedTuple):
    """The facets that tell the kind of an incident, coarsest first, and the ledger of the kind told by one of them."""

    facets: list[Facet]
    ledger: Ledger
    table: Table

    @property
    def facet(self) -> str:
        """The finest facet of the kind that the ledger is of."""
        return list(self.ledger.labels)[-1]

    @property
    def incident_ids(self) -> list[str]:
        """The incidents behind the figures."""
        return [name for entry in self.ledger.entries for name in entry.incidents]


@router.get("/incidents/{incident_id}/ledger/{facet}.{ending}")
async def get_ledger(
    request: Request,
    service: Parts,
    who: Reader,
    incident_id: IncidentInPath,
    facet: str,
    ending: TableFormat,
) -> Response:
    """Send a ledger as a file, with the incidents behind each mitigation."""
    found = await _read(request, service, who, incident_id, facet)
    if found is None or found.facet != facet:
        raise NotFound(f"Incident {incident_id!r} has no label of {facet!r}: label it first.", incident_id=incident_id)
    return table_file(found.table, ending)


@router.get("/incidents/{incident_id}/ledger")
@router.get("/incidents/{incident_id}/ledger/{facet}")
async def show_ledger(
    request: Request, service: Parts, who: Reader, incident_id: IncidentInPath, facet: str = ""
) -> Response:
    """Show the ledger of the incident's kind, as it is told by `facet`; else by the finest one that has figures."""
    found = await _read(request, service, who, incident_id, facet)
    taxonomy = service.casebook.taxonomy
    return show(
        request,
        "_incident_ledger.html",
        incident_id=incident_id,
        found=found,
        taxonomy=taxonomy,
        visible=await visible(service, who, found.incident_ids if found else ()),
        written=written,
    )


async def _read(request: Request, service: Service, who: Principal, incident_id: str, facet: str) -> _Found | None:
    """None where nobody has said yet what kind it is of, or the taxonomy has no mitigations."""
    taxonomy = service.casebook.taxonomy
    labels = (await read_sheet(request, service, incident_id)).labels
    facets = [each for each in kind_facets(taxonomy) if labels.get(each.id)]
    if not facets or taxonomy.mitigation is None:
        return None
    kinds = [Kind({one.id: labels[one.id][:1] for one in facets[: n + 1]}) for n in range(len(facets))]
    # The incident itself, labelled by now, is no past experience.
    past = await past_incidents(service.store, who.teams, kinds[0].has)
    records = [record for record in past if record[0].id != incident_id]
    ledgers = {
        one.id: await asyncio.to_thread(ledger, taxonomy, records, kind)
        for one, kind in zip(facets, kinds, strict=True)
    }
    telling = [one for one in ledgers.values() if any(entry.withheld is None for entry in one.entries)]
    chosen = ledgers.get(facet) or (telling or list(ledgers.values())[:1])[-1]
    return _Found(facets, chosen, _table(taxonomy, chosen))


def _table(taxonomy: Taxonomy, found: Ledger) -> Table:
    names = Names(taxonomy)
    kind = ", ".join(names.labels(facet, labels) for facet, labels in found.labels.items())
    named = found.matched - len(found.untold)
    columns = (
        Column("Mitigation"),
        Column("Tried in", "count"),
        Column("of", "count"),
        Column("Ended it alone"),
        Column("Median time", "minutes"),
        Column("Middle half"),
        Column("Incidents with a time", "count"),
    )
    return Table(
        "ledger",
        f"Mitigations of {kind}",
        f"{found.matched} past incidents, {named} of them name a mitigation. Times in minutes.",
        columns,
        tuple(_row(entry) for entry in found.entries),
    )


def _row(entry: Entry) -> Row:
    times = entry.times
    half = f"{written(times.low_quartile, 'minutes')} to {written(times.high_quartile, 'minutes')}" if times else ""
    known = len(entry.ended_alone) + len(entry.ended_with_others)
    ended = str(entry.ended) if entry.ended else f"too few: {known} of {entry.tried.hits} with a known end"
    cells = (entry.name, entry.tried.hits, entry.tried.n, ended, times and times.median, half, times and times.n)
    return Row(cells, entry.incidents)
