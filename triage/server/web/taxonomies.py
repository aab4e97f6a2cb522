"""Taxonomies: their facets and labels with the definitions that people and models label by."""

from __future__ import annotations

from fastapi import Request, Response

from triage.domain.errors import NotFound
from triage.server.api.access import requires
from triage.server.api.service import Parts
from triage.server.web.rendering import page_router, show

router = page_router()


@router.get("/settings/taxonomies", dependencies=[requires("read")])
async def list_taxonomies(request: Request, service: Parts) -> Response:
    """Show the taxonomies that can be read, and which one is in use."""
    in_use = service.casebook.taxonomy.id
    return show(request, "taxonomies.html", taxonomies=list(service.taxonomies.values()), in_use=in_use)


@router.get("/settings/taxonomies/{name}", dependencies=[requires("read")])
async def one_taxonomy(request: Request, service: Parts, name: str) -> Response:
    """Show a taxonomy with all its definitions."""
    if name not in service.taxonomies:
        raise NotFound(f"There is no taxonomy {name!r}. There are: {', '.join(service.taxonomies)}.", taxonomy=name)
    taxonomy = service.taxonomies[name]
    return show(request, "taxonomy.html", taxonomy=taxonomy, is_in_use=name == service.casebook.taxonomy.id)
