"""The annotation job: who labels which incidents, how far they are, and how well they agree so far.

Agreement is hidden from annotators who have yet to label incidents blind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import Form, Request, Response

from triage.domain.errors import NotFound
from triage.domain.principal import Principal
from triage.domain.taxonomy import Taxonomy
from triage.labels.annotation_job.assignment import Assigned, assign
from triage.labels.annotation_job.status import JobStatus, PairAgreement, job_status
from triage.render.quantities import plural
from triage.render.tables import Column, Row, Table
from triage.server.api.access import Annotator
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import annotator_of, required_annotator
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.figure_cache import Cache, FigureCache, Measured
from triage.server.web.label import TABS
from triage.server.web.rendering import NO_STORE, is_part, page_router, show
from triage.store import IncidentQuery, QueueName

router = page_router()

_QUEUES: Mapping[QueueName, str] = {
    "new": "New ones: triaged, and labelled by nobody",
    "triaged": "All that were triaged",
    "all": "All, the imported history too",
}
_MOST_COUNTED = 10_000
_AT_ONCE = 200
_CACHE_S = 10.0


@router.get("/label/assign")
async def assign_form(request: Request, service: Parts, principal: Annotator) -> Response:
    return await _show_form(request, service, principal)


@router.post("/label/assign")
async def assign_drawn(
    request: Request,
    service: Parts,
    principal: Annotator,
    annotators: Annotated[str, Form(max_length=2_000)] = "",
    pile: Annotated[QueueName, Form()] = "new",
    limit: Annotated[int, Form(ge=1, le=_MOST_COUNTED)] = 50,
    seed: Annotated[int, Form(ge=0, le=2**31)] = 0,
    per_incident: Annotated[int, Form(ge=1, le=20)] = 2,
    facet: Annotated[list[str], Form(max_length=100)] = [],  # noqa: B006 - FastAPI copies it
    shows_model: Annotated[bool, Form()] = False,
) -> Response:
    """Draw a random sample of incidents that lack annotators, and assign them."""
    assigned = await assign(
        service.store,
        service.casebook.taxonomy,
        annotators.split(","),
        per_incident=per_incident,
        facets=facet,
        incident_ids=await service.store.review_queues.list_ids(pile, IncidentQuery(teams=principal.teams)),
        limit=limit,
        seed=seed,
        shows_model=shows_model,
    )
    return await _show_form(request, service, principal, assigned, per_incident)


@router.get("/label/progress")
async def progress(request: Request, service: Parts, cache: Cache, principal: Annotator) -> Response:
    """Show the page. The figures over all labels are loaded after it, as a part."""
    if not is_part(request):
        return show(request, "progress.html", tabs=TABS, outcome="")
    return await _show_figures(request, service, await _status(service, cache, principal))


@router.get("/label/progress/{name}.{extension}")
async def progress_file(
    request: Request,
    service: Parts,
    cache: Cache,
    principal: Annotator,
    name: Literal["annotators", "agreement"],
    extension: TableFormat,
) -> Response:
    status = (await _status(service, cache, principal)).value
    if name == "annotators":
        return table_file(_annotators(status), extension)
    if await _is_blind(request, service):
        raise NotFound("How well people agree is shown to you once you have labelled what is yours to label blind.")
    return table_file(_agreement(status, service.casebook.taxonomy), extension)


@router.post("/label/progress/agreed")
async def accept_agreed(request: Request, service: Parts, cache: Cache, principal: Annotator) -> Response:
    """Make labels gold on which at least two people agree."""
    name = required_annotator(request)
    taken = await service.adjudication.accept_agreed(name, teams=principal.teams, most=_AT_ONCE)
    outcome = (
        f"{plural(taken.facets, 'label')} of {plural(taken.incidents, 'incident')} became gold: all agreed on them."
    )
    if taken.left_out:
        outcome += f" {len(taken.left_out)} did not fit the label that they refine, and were left out."
    if taken.is_cut_off:
        outcome += " There are more: do it again."
    cache.forget("progress")
    if is_part(request):
        return await _show_figures(request, service, await _status(service, cache, principal), outcome)
    return show(request, "progress.html", tabs=TABS, outcome=outcome)


async def _show_form(
    request: Request, service: Service, principal: Principal, assigned: Assigned | None = None, per_incident: int = 2
) -> Response:
    query = IncidentQuery(teams=principal.teams)
    return show(
        request,
        "_assign.html" if is_part(request) else "assign.html",
        tabs=TABS,
        piles=_QUEUES,
        counts={pile: await service.store.review_queues.count(pile, query, _MOST_COUNTED) for pile in _QUEUES},
        most_counted=_MOST_COUNTED,
        facets=service.casebook.taxonomy.facets,
        known=await service.store.assignments.list_annotators(principal.teams),
        assigned=assigned,
        per_incident=per_incident,
        headers=NO_STORE,
    )


async def _status(service: Service, cache: FigureCache, principal: Principal) -> Measured[JobStatus]:
    async def measure() -> JobStatus:
        return await job_status(service.store, service.casebook.taxonomy, principal.teams)

    return await cache.get("progress", principal.teams, measure, _CACHE_S)


async def _show_figures(
    request: Request, service: Service, measured: Measured[JobStatus], outcome: str = ""
) -> Response:
    status = measured.value
    is_blind = await _is_blind(request, service)
    return show(
        request,
        "_progress.html",
        job=status,
        at=measured.at,
        annotators=_annotators(status),
        agreement=None if is_blind else _agreement(status, service.casebook.taxonomy),
        outcome=outcome,
        headers=NO_STORE,
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
        tuple(
            Row((each.annotator, each.assigned, each.done, each.labels, each.saw_model)) for each in status.annotators
        ),
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
        tuple(_row(pair, names[pair.facet]) for pair in status.agreement),
    )


def _row(pair: PairAgreement, name: str) -> Row:
    kappa = pair.kappa
    bounds = (None, None) if kappa.interval is None else (kappa.interval.low, kappa.interval.high)
    names = " and ".join(pair.annotators)
    return Row((name, names, kappa.n, kappa.observed, kappa.value, *bounds, kappa.undefined or ""))
