"""Labelling by keyboard: an annotator's next incident with its questions, without labels of others."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Form, Query, Request, Response

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.principal import Principal
from triage.domain.taxonomy import Taxonomy
from triage.labels.annotation_job.labelling import Answer, FacetQuestion, Task, WorkItem, next_open
from triage.server.api.access import Annotator, requires
from triage.server.api.parameters import IncidentInPath
from triage.server.api.service import Parts, Service
from triage.server.web.annotator import annotator_of, remember_annotator, required_annotator
from triage.server.web.forms import read_form
from triage.server.web.questions import MOST_BYTES, Question, read_answers
from triage.server.web.rendering import NO_STORE, go_to, own_path, page_router, show

router = page_router()

TABS = (
    ("Label", "/label"),
    ("Adjudicate", "/label/adjudicate"),
    ("Assign", "/label/assign"),
    ("Progress", "/label/progress"),
)
"""The pages of the annotation job."""

_PATH = "/label/incidents/{incident_id}"


@router.get("/label")
async def label(
    request: Request, service: Parts, principal: Annotator, after: Annotated[str | None, Query(max_length=128)] = None
) -> Response:
    """Lead to the annotator's next incident, or say that there is none and what to do."""
    name, pieces = annotator_of(request), list[WorkItem]()
    if name:
        pieces = await _work(service, principal, name)
        if (piece := next_open(pieces, service.casebook.taxonomy, after)) is not None:
            return go_to(request, _path(piece))
    return show(request, "label.html", tabs=TABS, pieces=len(pieces), headers=NO_STORE)


@router.post("/label/name", dependencies=[requires("annotate")])
async def label_as(
    request: Request,
    annotator: Annotated[str, Form(max_length=200)] = "",
    next_path: Annotated[str, Form(alias="next", max_length=500)] = "/label",
) -> Response:
    """Label under this name from now on."""
    name = required_annotator(request, annotator)
    response = go_to(request, own_path(next_path))
    remember_annotator(response, name)
    return response


@router.get(_PATH)
async def label_incident(
    request: Request, service: Parts, principal: Annotator, incident_id: IncidentInPath, saved: bool = False
) -> Response:
    """Show an incident with its questions."""
    taxonomy = service.casebook.taxonomy
    pieces = await _work(service, principal, annotator_of(request))
    piece = _of_incident(pieces, incident_id, annotator_of(request))
    task = await service.labelling.serve(piece)
    at = pieces.index(piece)
    open_facets = piece.open_facets(taxonomy)
    return show(
        request,
        "label_incident.html",
        tabs=TABS,
        incident=task.incident,
        questions=_questions(taxonomy, task),
        progress=service.labelling.progress(pieces),
        shows_model=task.model is not None,
        still_open=[facet.name for facet in open_facets],
        saved=saved,
        back=_path(pieces[at - 1]) if at else "",
        skip=f"/label?{urlencode({'after': incident_id})}",
        current=next((facet.id for facet in (*open_facets, *piece.facets(taxonomy))), ""),
        headers=NO_STORE,
    )


@router.post("/label/incidents/{incident_id}/sheet")
async def sheet(request: Request, service: Parts, principal: Annotator, incident_id: IncidentInPath) -> Response:
    """Show the questions after the answers so far, without saving them."""
    name = annotator_of(request)
    piece = _of_incident(await _work(service, principal, name), incident_id, name)
    facets = piece.facets(service.casebook.taxonomy)
    form = await read_form(request, MOST_BYTES)
    draft = read_answers(form, facets)
    task = await service.labelling.serve(piece)
    ids, changed = [facet.id for facet in facets], form.get("changed", "")
    behind = ids[ids.index(changed) + 1 :] if changed in ids else ids
    return show(
        request,
        "_questions.html",
        incident=task.incident,
        questions=_questions(service.casebook.taxonomy, task, draft),
        current=next(iter(behind), ids[-1]),
    )


@router.post(_PATH)
async def save(request: Request, service: Parts, principal: Annotator, incident_id: IncidentInPath) -> Response:
    """Save new answers, and continue with this incident's open questions, or else with the next incident."""
    name = annotator_of(request)
    piece = _of_incident(await _work(service, principal, name), incident_id, name)
    taxonomy = service.casebook.taxonomy
    answers = read_answers(await read_form(request, MOST_BYTES), piece.facets(taxonomy))
    for facet_id, answer in answers.items():
        if answer.note and not answer.labels:
            facet = taxonomy.facet(facet_id)
            raise InvalidInput(
                f"{facet.name} has a note and no label: choose one, or take the note out.", field=facet_id
            )
    new = {facet: answer for facet, answer in answers.items() if answer.labels and answer != piece.answer(facet)}
    if not new and not any(answer.labels for answer in answers.values()):
        raise InvalidInput("Nothing is chosen yet: press the key of a label, or skip this incident.", field="label")
    piece = await service.labelling.give_all(piece, new) if new else piece
    if piece.open_facets(taxonomy):
        return go_to(request, f"{_path(piece)}?saved=true")
    return go_to(request, f"/label?{urlencode({'after': incident_id})}")


async def _work(service: Service, principal: Principal, name: str) -> list[WorkItem]:
    try:
        return await service.labelling.work(name, principal.teams)
    except NotFound:
        return []


def _of_incident(pieces: list[WorkItem], incident_id: str, name: str) -> WorkItem:
    for piece in pieces:
        if piece.assignment.incident_id == incident_id:
            return piece
    annotator = repr(name) if name else "you, as you have not said your name yet"
    raise NotFound(f"Incident {incident_id!r} is not assigned to {annotator}.", incident_id=incident_id)


def _path(piece: WorkItem) -> str:
    return _PATH.format(incident_id=piece.assignment.incident_id)


def _questions(taxonomy: Taxonomy, task: Task, draft: dict[str, Answer] | None = None) -> list[Question]:
    asked = task.sheet(taxonomy, draft)
    parents = {each.facet.parent for each in asked}
    questions = []
    for each in asked:
        model_labels = None if task.model is None else task.model.get(each.facet.id)
        questions.append(
            Question.of(
                each.facet,
                each.labels,
                each.given,
                marks=_parent_names(taxonomy, each) | dict.fromkeys(model_labels or (), "the model's"),
                is_refined=each.facet.id in parents,
                remark="The model abstains on this." if model_labels == () else "",
            )
        )
    return questions


def _parent_names(taxonomy: Taxonomy, asked: FacetQuestion) -> dict[str, str]:
    """Label -> the name of its parent label, if labels of several parents are offered."""
    if asked.facet.parent is None or len({label.parent for label in asked.labels}) < 2:
        return {}
    parent = taxonomy.facet(asked.facet.parent)
    return {label.id: parent.label(label.parent).name for label in asked.labels if label.parent}
