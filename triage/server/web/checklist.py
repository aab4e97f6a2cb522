"""The adoption checklist: which steps of the method are taken here, and what comes next."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request, Response

from triage.insights.checklist import Checklist, checklist_table, measure_adoption
from triage.server.api.access import requires
from triage.server.api.service import Parts, Service
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.kept import Kept, KeptFigures
from triage.server.web.options import Options, PageOptions
from triage.server.web.rendering import page_router, show

router = page_router()

_KEPT_S = 30.0


@router.get("/study/checklist", dependencies=[requires("read", all_teams=True)])
async def checklist(request: Request, service: Parts, kept: KeptFigures, options: Options) -> Response:
    """Show the steps; measuring them takes a moment."""
    return show(request, "checklist.html", found=await _found(service, kept, options))


@router.get("/study/checklist.{ending}", dependencies=[requires("read", all_teams=True)])
async def checklist_file(service: Parts, kept: KeptFigures, options: Options, ending: TableFormat) -> Response:
    """The steps as a file."""
    return table_file(checklist_table(await _found(service, kept, options)), ending)


async def _found(service: Service, kept: Kept, options: PageOptions) -> Checklist:
    async def measure() -> Checklist:
        return await measure_adoption(
            service.store,
            service.casebook.taxonomy,
            service.live,
            suites=options.suites,
            runs=options.runs,
            now=datetime.now(UTC),
            roles=service.studies.roles,
        )

    return (await kept.get("checklist", None, measure, _KEPT_S)).what
