"""The radar: groups of recent incidents that no label fits, each with a draft of a label."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

from triage.access import Principal
from triage.api.access import Reader, requires
from triage.api.radar import radar_of
from triage.api.service import Parts, Service
from triage.radar import Radar, as_yaml, radar_table
from triage.web.downloads import TableFormat, table_file
from triage.web.kept import Kept
from triage.web.rendering import page_router, show

router = page_router()

_FACET = Query(max_length=100)

_kept: Kept[Radar] = Kept()


@router.get("/study/radar", dependencies=[requires("read")])
async def radar(request: Request, service: Parts, facet: Annotated[str, _FACET] = "") -> Response:
    """Show the frame; looking takes a moment, and what is found follows."""
    return show(request, "radar.html", facets=service.casebook.taxonomy.triaged, facet=facet)


@router.get("/study/radar/found")
async def found_radar(request: Request, service: Parts, who: Reader, facet: Annotated[str, _FACET] = "") -> Response:
    """Show what was found."""
    found = await _found(service, who, facet)
    taxonomy = service.casebook.taxonomy
    return show(request, "_radar.html", found=found, facet=taxonomy.facet(found.facet))


@router.get("/study/radar.yaml")
async def drafts(service: Parts, who: Reader, facet: Annotated[str, _FACET] = "") -> Response:
    """The drafts as labels of a taxonomy file."""
    headers = {"Content-Disposition": 'attachment; filename="draft-labels.yaml"'}
    text = as_yaml(await _found(service, who, facet))
    return Response(text, headers=headers, media_type="application/yaml")


@router.get("/study/radar.{ending}")
async def radar_file(service: Parts, who: Reader, ending: TableFormat, facet: Annotated[str, _FACET] = "") -> Response:
    """The groups as a file."""
    return table_file(radar_table(await _found(service, who, facet)), ending)


async def _found(service: Service, who: Principal, facet: str) -> Radar:
    key = id(service.store), who.teams, facet
    return await _kept.get(key, lambda: radar_of(service, who.teams, facet or None))
