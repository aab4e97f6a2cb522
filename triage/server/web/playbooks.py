"""Candidates for playbooks: mitigations that were frequent, repeatable and fast in the history."""

from __future__ import annotations

from fastapi import Request, Response

from triage.domain.principal import Principal
from triage.insights.automation import DEFAULT_CRITERIA, Opportunities
from triage.insights.automation_tables import kind_name, near_miss_table, playbook_table
from triage.server.api.access import Reader
from triage.server.api.history import automation_of
from triage.server.api.service import Parts, Service
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.kept import Kept, KeptFigures, Measured
from triage.server.web.rendering import page_router, show
from triage.server.web.visible import visible_behind

router = page_router()


@router.get("/study/playbooks")
async def playbooks(request: Request, service: Parts, kept: KeptFigures, who: Reader) -> Response:
    """Show the candidates, and what just is none."""
    (found, at), taxonomy = await _found(service, kept, who), service.casebook.taxonomy
    near = near_miss_table(found, taxonomy)
    return show(
        request,
        "playbooks.html",
        found=found,
        at=at,
        taxonomy=taxonomy,
        kind_name=kind_name,
        near=near,
        visible=await visible_behind(service, who, [playbook_table(found, taxonomy), near]),
    )


@router.get("/study/playbooks.{ending}")
async def playbooks_file(service: Parts, kept: KeptFigures, who: Reader, ending: TableFormat) -> Response:
    """The candidates as a file."""
    found = (await _found(service, kept, who)).what
    return table_file(playbook_table(found, service.casebook.taxonomy), ending)


@router.get("/study/near-misses.{ending}")
async def near_misses_file(service: Parts, kept: KeptFigures, who: Reader, ending: TableFormat) -> Response:
    """What just is no candidate, as a file."""
    found = (await _found(service, kept, who)).what
    return table_file(near_miss_table(found, service.casebook.taxonomy), ending)


async def _found(service: Service, kept: Kept, who: Principal) -> Measured[Opportunities]:
    return await kept.get("playbooks", who.teams, lambda: automation_of(service, who.teams, DEFAULT_CRITERIA))
