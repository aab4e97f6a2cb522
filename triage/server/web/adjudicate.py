"""Adjudication: what each annotator said of an incident on which they disagree, and the gold label that settles it."""

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
from triage.server.web.choices import MOST_BYTES, Question, read_answers
from triage.server.web.forms import Form, read_form
from triage.server.web.label import TABS
from triage.server.web.rendering import go_to, page_router, show
from triage.server.web.visible import visible
from triage.store import Labelled

router = page_router()

_COUNTED = 50
_LOOKED_AT = 2_000

After = Annotated[str, Query(max_length=128)]
Facet = Annotated[str, Query(max_length=100)]


@router.get("/label/adjudicate")
async def adjudicate(
    request: Request,
    service: Parts,
    who: Annotator,
    after: After = "",
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    settled: Annotated[str, Query(max_length=128)] = "",
    facet: Facet = "",
) -> Response:
    """Put the next disagreement before the adjudicator: the newest one, or one behind the incident `after`."""
    name = annotator_of(request)
    left = await _page(service, who, name, cursor) if name else DisputedPage(incidents=(), next_cursor=None)
    page = left
    if after and (behind := await service.store.incidents.find_cursor(after)):
        page = await _page(service, who, name, behind)
        page = page if page.incidents else left
    found = None
    if page.incidents:
        found = await service.adjudication.dispute(page.incidents[0].incident_id, adjudicator=name)
    before = None
    if settled and facet and settled in await visible(service, who, [settled]):
        before = await service.adjudication.dispute(settled, facet, name)
    return _shown(request, found, after=after, left=left, before=before)


@router.get("/label/adjudicate/incidents/{incident_id}")
async def adjudicate_incident(
    request: Request,
    service: Parts,
    who: Annotator,
    incident_id: IncidentInPath,
    facet: Facet = "",
    after: After = "",
) -> Response:
    """Put what people said of one incident before the adjudicator: of a facet, also where it is settled."""
    name = required_annotator(request)
    found = await service.adjudication.dispute(incident_id, facet or None, name)
    if found is None:
        raise NotFound(
            f"There is nothing to settle of incident {incident_id!r}: nobody labelled it, or all agree.",
            incident_id=incident_id,
        )
    return _shown(request, found, after=after, left=await _page(service, who, name), before=None)


@router.post("/label/adjudicate/incidents/{incident_id}", dependencies=[requires("annotate")])
async def settle(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Make the chosen labels gold, and go on. Nothing is kept if somebody annotated the incident meanwhile."""
    form = await read_form(request, MOST_BYTES)
    asked = service.casebook.taxonomy.facet(form.get("facet", ""))
    answer = read_answers(form, [asked])[asked.id]
    if not answer.labels:
        raise InvalidInput("Nothing is chosen yet: press the key of a label, or skip this incident.", field="label")
    ruling = Ruling(asked.id, answer.labels, answer.note)
    as_of = Labelled(_number(form, "number"), _number(form, "last"))
    await service.adjudication.settle(incident_id, required_annotator(request), [ruling], as_of)
    query = {"after": form.get("after", ""), "settled": incident_id, "facet": asked.id}
    return go_to(request, f"/label/adjudicate?{urlencode(query)}")


def _shown(
    request: Request,
    found: Dispute | None,
    *,
    after: str,
    left: DisputedPage,
    before: Dispute | None,
) -> Response:
    return show(
        request,
        "adjudicate.html",
        tabs=TABS,
        dispute=found,
        question=None if found is None else _question(found),
        names={} if found is None else {label.id: label.name for label in found.facet.labels},
        left=len(left.incidents),
        more=left.next_cursor,
        before=before,
        after=after,
        headers={"Cache-Control": "no-store"},
    )


def _question(found: Dispute) -> Question:
    by_label: dict[str, list[str]] = {}
    for annotation in found.said:
        for label in annotation.labels:
            by_label.setdefault(label, []).append(annotation.annotator)
    verdict = found.settled
    given = Answer(()) if verdict is None else Answer(verdict.labels, verdict.note)
    marks = {label: ", ".join(names) for label, names in by_label.items()}
    return Question.of(found.facet, found.labels, given, marks=marks)


def _number(form: Form, field: str) -> int:
    text = form.get(field, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput("The form does not say what was shown: load the page anew.", field=field)
    return int(text)


async def _page(service: Service, who: Principal, name: str, cursor: str | None = None) -> DisputedPage:
    return await service.adjudication.page(_COUNTED, cursor, name, who.teams, most=_LOOKED_AT)
