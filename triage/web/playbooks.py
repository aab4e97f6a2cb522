"""Candidates for playbooks: mitigations that were frequent, repeatable and fast in the history."""

from __future__ import annotations

from fastapi import Request, Response

from triage.access import Principal
from triage.api.access import Reader
from triage.api.automation import automation_of
from triage.api.service import Parts, Service
from triage.automation import DEFAULT_CRITERIA, Opportunities
from triage.automation_tables import kind_name, near_miss_table, playbook_table
from triage.tables import written
from triage.web.downloads import TableFormat, table_file
from triage.web.kept import Kept
from triage.web.rendering import page_router, show

router = page_router()

_kept: Kept[Opportunities] = Kept()


@router.get("/study/playbooks")
async def playbooks(request: Request, service: Parts, who: Reader) -> Response:
    """Show the candidates, and what just is none."""
    found, taxonomy = await _found(service, who), service.casebook.taxonomy
    return show(
        request,
        "playbooks.html",
        found=found,
        taxonomy=taxonomy,
        kind_name=kind_name,
        near=near_miss_table(found, taxonomy),
        written=written,
    )


@router.get("/study/playbooks.{ending}")
async def playbooks_file(service: Parts, who: Reader, ending: TableFormat) -> Response:
    """The candidates as a file."""
    return table_file(playbook_table(await _found(service, who), service.casebook.taxonomy), ending)


@router.get("/study/near-misses.{ending}")
async def near_misses_file(service: Parts, who: Reader, ending: TableFormat) -> Response:
    """What just is no candidate, as a file."""
    return table_file(near_miss_table(await _found(service, who), service.casebook.taxonomy), ending)


async def _found(service: Service, who: Principal) -> Opportunities:
    # Of two services in one process, as in tests, each has a store of its own.
    key = id(service.store), who.teams
    return await _kept.get(key, lambda: automation_of(service, who.teams, DEFAULT_CRITERIA))
