"""How far the annotation job is, and how well its annotators agree so far; not shown to who has yet to label blind."""

from __future__ import annotations

from typing import Literal

from fastapi import Request, Response

from triage.agreement import Kappa
from triage.domain.errors import NotFound
from triage.domain.principal import Principal
from triage.domain.taxonomy import Taxonomy
from triage.labels.annotation_job.status import JobStatus, PairAgreement, job_status
from triage.render.quantities import plural
from triage.render.tables import Column, Row, Table
from triage.server.api.access import Annotator
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import annotator_of, required_annotator
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.kept import Kept, KeptFigures, Measured
from triage.server.web.label import TABS
from triage.server.web.rendering import is_part, page_router, show

router = page_router()

_AT_ONCE = 200
_KEPT_S = 10.0
_Told = Literal["annotators", "agreement"]


@router.get("/label/progress")
async def progress(request: Request, service: Parts, kept: KeptFigures, who: Annotator) -> Response:
    """Show how far everyone is. The figures come as a part of their own: they are made from all that is labelled."""
    if not is_part(request):
        return show(request, "progress.html", tabs=TABS, outcome="")
    return await _figures(request, service, await _status(service, kept, who))


@router.get("/label/progress/{name}.{ending}")
async def progress_file(
    request: Request, service: Parts, kept: KeptFigures, who: Annotator, name: _Told, ending: TableFormat
) -> Response:
    """A table of the figures as a file."""
    status = (await _status(service, kept, who)).what
    if name == "annotators":
        return table_file(_annotators(status), ending)
    if await _is_blind(request, service):
        raise NotFound("How well people agree is shown to you once you have labelled what is yours to label blind.")
    return table_file(_agreement(status, service.casebook.taxonomy), ending)


@router.post("/label/progress/agreed")
async def accept_agreed(request: Request, service: Parts, kept: KeptFigures, who: Annotator) -> Response:
    """Make gold whatever at least two people agree on."""
    name = required_annotator(request)
    taken = await service.adjudication.accept_agreed(name, teams=who.teams, most=_AT_ONCE)
    parts = [
        f"{plural(taken.facets, 'label')} of {plural(taken.incidents, 'incident')} became gold: all agreed on them."
    ]
    if taken.left_out:
        parts.append(f"{len(taken.left_out)} did not fit the label that they refine, and were left out.")
    if taken.is_cut_off:
        parts.append("There are more: do it again.")
    outcome = " ".join(parts)
    kept.forget("progress")
    if is_part(request):
        return await _figures(request, service, await _status(service, kept, who), outcome)
    return show(request, "progress.html", tabs=TABS, outcome=outcome)


async def _status(service: Service, kept: Kept, who: Principal) -> Measured[JobStatus]:
    async def measure() -> JobStatus:
        return await job_status(service.store, service.casebook.taxonomy, who.teams)

    return await kept.get("progress", who.teams, measure, _KEPT_S)


async def _figures(request: Request, service: Service, measured: Measured[JobStatus], outcome: str = "") -> Response:
    status, at = measured
    is_blind = await _is_blind(request, service)
    return show(
        request,
        "_progress.html",
        job=status,
        at=at,
        annotators=_annotators(status),
        agreement=None if is_blind else _agreement(status, service.casebook.taxonomy),
        outcome=outcome,
        headers={"Cache-Control": "no-store"},
    )


async def _is_blind(request: Request, service: Service) -> bool:
    name = annotator_of(request)
    return bool(name) and bool(await service.labelling.waiting(name))


def _annotators(status: JobStatus) -> Table:
    columns = ("annotator", "incidents assigned", "of them done", "labels given", "after seeing the model's")
    return Table(
        "annotators",
        "Annotators",
        "Incidents that are assigned to each, and labels that each gave, of all that was ever labelled.",
        tuple(Column(name, "count" if n else "text") for n, name in enumerate(columns)),
        tuple(Row((one.annotator, one.assigned, one.done, one.labels, one.saw_model)) for one in status.annotators),
    )


def _agreement(status: JobStatus, taxonomy: Taxonomy) -> Table:
    names = {facet.id: facet.name for facet in taxonomy.facets}
    columns = [Column("facet"), Column("annotators"), Column("incidents", "count"), Column("they agree on", "share")]
    columns += [Column("kappa", "number"), Column("from", "number"), Column("to", "number"), Column("remark")]
    return Table(
        "agreement",
        "Agreement so far",
        "Of each pair on what both labelled, before any adjudication; kappa with its 95% interval.",
        tuple(columns),
        tuple(_pair(one, names[one.facet]) for one in status.agreement),
    )


def _pair(one: PairAgreement, name: str) -> Row:
    kappa: Kappa = one.kappa
    bounds = (None, None) if kappa.interval is None else (kappa.interval.low, kappa.interval.high)
    agree = kappa.observed
    return Row((name, " and ".join(one.annotators), kappa.n, agree, kappa.value, *bounds, kappa.undefined or ""))
