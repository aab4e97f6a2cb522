"""The annotation job: who labels which incidents, how far they are, and how well they agree so far.

Agreement is hidden from annotators who have yet to label incidents blind.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import Form, Response

from triage.domain.errors import NotFound
from triage.domain.taxonomy import Taxonomy
from triage.labels.annotation_job.assignment import Assigned, assign
from triage.labels.annotation_job.status import JobStatus, PairAgreement, job_status
from triage.render.quantities import plural
from triage.render.tables import Row, Table, columns_of
from triage.server.web.downloads import TableFormat, table_file
from triage.server.web.figure_cache import Measured
from triage.server.web.rendering import page_router
from triage.server.web.visit import AnnotatorVisit, Visit
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
async def assign_form(visit: AnnotatorVisit) -> Response:
    return await _show_form(visit)


@router.post("/label/assign")
async def assign_drawn(
    visit: AnnotatorVisit,
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
        visit.store,
        visit.taxonomy,
        annotators.split(","),
        per_incident=per_incident,
        facets=facet,
        incident_ids=await visit.store.review_queues.list_ids(pile, IncidentQuery(teams=visit.teams)),
        limit=limit,
        seed=seed,
        shows_model=shows_model,
    )
    return await _show_form(visit, assigned, per_incident)


@router.get("/label/progress")
async def progress(visit: AnnotatorVisit) -> Response:
    """Show the page. The figures over all labels are loaded after it, as a part."""
    return await _show_progress(visit)


@router.get("/label/progress/{name}.{extension}")
async def progress_file(
    visit: AnnotatorVisit, name: Literal["annotators", "agreement"], extension: TableFormat
) -> Response:
    status = (await _status(visit)).value
    if name == "annotators":
        return table_file(_annotators(status), extension)
    if await _is_blind(visit):
        raise NotFound("How well people agree is shown to you once you have labelled what is yours to label blind.")
    return table_file(_agreement(status, visit.taxonomy), extension)


@router.post("/label/progress/agreed")
async def accept_agreed(visit: AnnotatorVisit) -> Response:
    """Make labels gold on which at least two people agree."""
    name = visit.required_annotator()
    taken = await visit.service.adjudication.accept_agreed(name, teams=visit.teams, most=_AT_ONCE)
    outcome = (
        f"{plural(taken.facets, 'label')} of {plural(taken.incidents, 'incident')} became gold: all agreed on them."
    )
    if taken.left_out:
        outcome += f" {len(taken.left_out)} did not fit the label that they refine, and were left out."
    if taken.is_cut_off:
        outcome += " There are more: do it again."
    visit.figures.forget("progress")
    return await _show_progress(visit, outcome)


async def _show_form(visit: Visit, assigned: Assigned | None = None, per_incident: int = 2) -> Response:
    query = IncidentQuery(teams=visit.teams)
    return visit.show(
        "_assign.html" if visit.is_part else "assign.html",
        piles=_QUEUES,
        counts={pile: await visit.store.review_queues.count(pile, query, _MOST_COUNTED) for pile in _QUEUES},
        most_counted=_MOST_COUNTED,
        known=await visit.store.assignments.list_annotators(visit.teams),
        assigned=assigned,
        per_incident=per_incident,
    )


async def _status(visit: Visit) -> Measured[JobStatus]:
    async def measure() -> JobStatus:
        return await job_status(visit.store, visit.taxonomy, visit.teams)

    return await visit.figures.get("progress", visit.teams, measure, _CACHE_S)


async def _show_progress(visit: Visit, outcome: str = "") -> Response:
    if not visit.is_part:
        return visit.show("progress.html", outcome=outcome)
    status, at, _ = await _status(visit)
    return visit.show(
        "_progress.html",
        job=status,
        at=at,
        annotators=_annotators(status),
        agreement=None if await _is_blind(visit) else _agreement(status, visit.taxonomy),
        outcome=outcome,
    )


async def _is_blind(visit: Visit) -> bool:
    return bool(visit.annotator) and bool(await visit.service.labelling.waiting(visit.annotator))


def _annotators(status: JobStatus) -> Table:
    return Table(
        "annotators",
        "Annotators",
        "Incidents that are assigned to each, and labels that each gave, of all that was ever labelled.",
        columns_of(
            "annotator | incidents assigned:count | of them done:count | labels given:count"
            " | after seeing the model's:count"
        ),
        tuple(
            Row((each.annotator, each.assigned, each.done, each.labels, each.saw_model)) for each in status.annotators
        ),
    )


def _agreement(status: JobStatus, taxonomy: Taxonomy) -> Table:
    names = {facet.id: facet.name for facet in taxonomy.facets}
    return Table(
        "agreement",
        "Agreement so far",
        "Of each pair on what both labelled, before any adjudication; kappa with its 95% interval.",
        columns_of(
            "facet | annotators | incidents:count | they agree on:share | kappa:number | from:number | to:number"
            " | remark"
        ),
        tuple(_row(pair, names[pair.facet]) for pair in status.agreement),
    )


def _row(pair: PairAgreement, name: str) -> Row:
    kappa = pair.kappa
    bounds = (None, None) if kappa.interval is None else (kappa.interval.low, kappa.interval.high)
    names = " and ".join(pair.annotators)
    return Row((name, names, kappa.n, kappa.observed, kappa.value, *bounds, kappa.undefined or ""))
