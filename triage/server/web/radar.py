"""The radar: groups of recent incidents that no label fits, each with a draft of a label."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from triage.domain.principal import Principal
from triage.insights.radar import Radar, as_yaml, radar_table
from triage.server.api.access import Reader, requires
from triage.server.api.history import radar_of
from triage.server.api.service import Parts, Service
from triage.server.web.downloads import TableFormat, kept_file, table_file
from triage.server.web.kept import Kept, KeptFigures, Measured
from triage.server.web.rendering import page_router, show
from triage.server.web.visible import LISTED, visible

router = page_router()

_FACET = Query(max_length=100)


@router.get("/study/radar", dependencies=[requires("read")])
async def radar(request: Request, service: Parts, facet: Annotated[str, _FACET] = "") -> Response:
    """Show the frame; looking takes a moment, and what is found follows."""
    return show(request, "radar.html", facets=service.casebook.taxonomy.triaged, facet=facet)


@router.get("/study/radar/found")
async def found_radar(
    request: Request, service: Parts, kept: KeptFigures, who: Reader, facet: Annotated[str, _FACET] = ""
) -> Response:
    """Show what was found."""
    found, at = await _found(service, kept, who, facet)
    taxonomy = service.casebook.taxonomy
    named = {name for group in found.groups for name in group.incidents[:LISTED]}
    named |= {one.incident_id for group in found.groups for one in group.examples}
    named |= {one.incident_id for one in found.ill_fitting[:LISTED]}
    return show(
        request,
        "_radar.html",
        found=found,
        at=at,
        facet=taxonomy.facet(found.facet),
        visible=await visible(service, who, named),
        listed=LISTED,
    )


@router.get("/study/radar.yaml")
async def drafts(service: Parts, kept: KeptFigures, who: Reader, facet: Annotated[str, _FACET] = "") -> Response:
    """The drafts as labels of a taxonomy file."""
    text = as_yaml((await _found(service, kept, who, facet)).what)
    return kept_file(text, "application/yaml", "draft-labels.yaml")


@router.get("/study/radar.{ending}")
async def radar_file(
    service: Parts, kept: KeptFigures, who: Reader, ending: TableFormat, facet: Annotated[str, _FACET] = ""
) -> Response:
    """The groups as a file."""
    return table_file(radar_table((await _found(service, kept, who, facet)).what), ending)


async def _found(service: Service, kept: Kept, who: Principal, facet: str) -> Measured[Radar]:
    return await kept.get("radar", (who.teams, facet), lambda: radar_of(service, who.teams, facet or None))
