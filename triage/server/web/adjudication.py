"""Adjudication: the labels of annotators who disagree on an incident, and the gold label that settles it."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Request, Response

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.principal import Principal
from triage.labels.annotation_job.adjudication import Dispute, DisputedPage, Ruling
from triage.labels.annotation_job.labelling import Answer
from triage.server.api.access import Annotator, requires
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import annotator_of, required_annotator
from triage.server.web.forms import Form, read_form
from triage.server.web.incident_lists import visible_incidents
from triage.server.web.label import TABS
from triage.server.web.questions import MOST_BYTES, Question, read_answers
from triage.server.web.rendering import NO_STORE, go_to, page_router, show
from triage.store import Labelled

router = page_router()

_PAGE = 50
_MOST_SCANNED = 2_000

After = Annotated[str, Query(max_length=128)]
Facet = Annotated[str, Query(max_length=100)]


@router.get("/label/adjudicate")
async def adjudicate(
    request: Request,
    service: Parts,
    principal: Annotator,
    after: After = "",
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    settled: Annotated[str, Query(max_length=128)] = "",
    facet: Facet = "",
) -> Response:
    """Show the newest disagreement, or the first one behind the incident `after`."""
    name = annotator_of(request)
    remaining = (
        await _disputes(service, principal, name, cursor) if name else DisputedPage(incidents=(), next_cursor=None)
    )
    page = remaining
    if after and (behind := await service.store.incidents.find_cursor(after)):
        page = await _disputes(service, principal, name, behind)
        page = page if page.incidents else remaining
    dispute = None
    if page.incidents:
        dispute = await service.adjudication.dispute(page.incidents[0].incident_id, adjudicator=name)
    before = None
    if settled and facet and settled in await visible_incidents(service, principal, [settled]):
        before = await service.adjudication.dispute(settled, facet, name)
    return _show(request, dispute, after=after, remaining=remaining, before=before)


@router.get("/label/adjudicate/incidents/{incident_id}")
async def adjudicate_incident(
    request: Request,
    service: Parts,
    principal: Annotator,
    incident_id: IncidentInPath,
    facet: Facet = "",
    after: After = "",
) -> Response:
    """Show the labels of one incident; with `facet` even if that facet is settled."""
    name = required_annotator(request)
    dispute = await service.adjudication.dispute(incident_id, facet or None, name)
    if dispute is None:
        raise NotFound(
            f"There is nothing to settle of incident {incident_id!r}: nobody labelled it, or all agree.",
            incident_id=incident_id,
        )
    return _show(request, dispute, after=after, remaining=await _disputes(service, principal, name))


@router.post("/label/adjudicate/incidents/{incident_id}", dependencies=[requires("annotate")])
async def settle(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Make the chosen labels gold and continue. Raises if somebody annotated the incident meanwhile."""
    form = await read_form(request, MOST_BYTES)
    facet = service.casebook.taxonomy.facet(form.get("facet", ""))
    answer = read_answers(form, [facet])[facet.id]
    if not answer.labels:
        raise InvalidInput("Nothing is chosen yet: press the key of a label, or skip this incident.", field="label")
    ruling = Ruling(facet.id, answer.labels, answer.note)
    as_of = Labelled(_number(form, "number"), _number(form, "last"))
    await service.adjudication.settle(incident_id, required_annotator(request), [ruling], as_of)
    query = {"after": form.get("after", ""), "settled": incident_id, "facet": facet.id}
    return go_to(request, f"/label/adjudicate?{urlencode(query)}")


def _show(
    request: Request, dispute: Dispute | None, *, after: str, remaining: DisputedPage, before: Dispute | None = None
) -> Response:
    return show(
        request,
        "adjudicate.html",
        tabs=TABS,
        dispute=dispute,
        question=dispute and _question(dispute),
        names={label.id: label.name for label in dispute.facet.labels} if dispute else {},
        left=len(remaining.incidents),
        more=remaining.next_cursor,
        before=before,
        after=after,
        headers=NO_STORE,
    )


def _question(dispute: Dispute) -> Question:
    annotators: dict[str, list[str]] = {}
    for annotation in dispute.annotations:
        for label in annotation.labels:
            annotators.setdefault(label, []).append(annotation.annotator)
    verdict = dispute.settled
    answer = Answer(()) if verdict is None else Answer(verdict.labels, verdict.note)
    marks = {label: ", ".join(names) for label, names in annotators.items()}
    return Question.of(dispute.facet, dispute.labels, answer, marks=marks)


def _number(form: Form, field: str) -> int:
    text = form.get(field, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput("The form does not say what was shown: load the page anew.", field=field)
    return int(text)


async def _disputes(service: Service, principal: Principal, name: str, cursor: str | None = None) -> DisputedPage:
    return await service.adjudication.page(_PAGE, cursor, name, principal.teams, most=_MOST_SCANNED)
