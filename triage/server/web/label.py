"""Labelling and adjudication by keyboard.

Annotators see their next incident with its questions, without labels of others. Adjudicators see the labels on which
annotators disagree, and settle them by a gold label.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Form, Query, Response

from triage.domain.annotation import NOT_TOLD
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.labels.annotation_job.adjudication import Dispute, DisputedPage, Ruling
from triage.labels.annotation_job.labelling import Answer, FacetQuestion, Task, WorkItem, next_open
from triage.server.api.parameters import IncidentInPath
from triage.server.web.forms import FormFields, read_form
from triage.server.web.rendering import own_path, page_router, remember_annotator
from triage.server.web.visit import AnnotatorVisit, Visit
from triage.store import Labelled

router = page_router()

_PATH = "/label/incidents/{incident_id}"

_KEYS = "123456789acefhilmoprtuvwyz"
"""Keys for labels. The other letters are shortcuts of the page (back, definitions, note, skip) and of all pages."""

_NOT_TOLD_KEY = "0"

_MOST_BYTES = 200_000
"""Maximum size of the answers for one incident."""

_LONGEST_NOTE = 4_000
_MOST_LABELS = 20
_PAGE = 50
_MOST_SCANNED = 2_000

After = Annotated[str, Query(max_length=128)]
FacetQuery = Annotated[str, Query(max_length=100)]


@router.get("/label")
async def label(visit: AnnotatorVisit, after: Annotated[str | None, Query(max_length=128)] = None) -> Response:
    """Lead to the annotator's next incident, or say that there is none and what to do."""
    pieces = await _work(visit) if visit.annotator else []
    if (piece := next_open(pieces, visit.taxonomy, after)) is not None:
        return visit.go_to(_path(piece))
    return visit.show("label.html", pieces=len(pieces))


@router.post("/label/name")
async def label_as(
    visit: AnnotatorVisit,
    annotator: Annotated[str, Form(max_length=200)] = "",
    next_path: Annotated[str, Form(alias="next", max_length=500)] = "/label",
) -> Response:
    """Label under this name from now on."""
    name = visit.required_annotator(annotator)
    response = visit.go_to(own_path(next_path))
    remember_annotator(response, name)
    return response


@router.get(_PATH)
async def label_incident(visit: AnnotatorVisit, incident_id: IncidentInPath, saved: bool = False) -> Response:
    """Show an incident with its questions."""
    pieces, piece = await _find_work(visit, incident_id)
    task = await visit.service.labelling.serve(piece)
    at = pieces.index(piece)
    open_facets = piece.open_facets(visit.taxonomy)
    return visit.show(
        "label_incident.html",
        incident=task.incident,
        questions=_questions(visit.taxonomy, task),
        progress=visit.service.labelling.progress(pieces),
        shows_model=task.model is not None,
        still_open=[facet.name for facet in open_facets],
        saved=saved,
        back=_path(pieces[at - 1]) if at else "",
        skip=f"/label?{urlencode({'after': incident_id})}",
        current=next((facet.id for facet in (*open_facets, *piece.facets(visit.taxonomy))), ""),
    )


@router.post("/label/incidents/{incident_id}/sheet")
async def sheet(visit: AnnotatorVisit, incident_id: IncidentInPath) -> Response:
    """Show the questions after the answers so far, without saving them."""
    _, piece = await _find_work(visit, incident_id)
    facets = piece.facets(visit.taxonomy)
    form = await read_form(visit.request, _MOST_BYTES)
    draft = read_answers(form, facets)
    task = await visit.service.labelling.serve(piece)
    ids, changed = [facet.id for facet in facets], form.get("changed", "")
    behind = ids[ids.index(changed) + 1 :] if changed in ids else ids
    return visit.show(
        "_questions.html",
        incident=task.incident,
        questions=_questions(visit.taxonomy, task, draft),
        current=next(iter(behind), ids[-1]),
    )


@router.post(_PATH)
async def save(visit: AnnotatorVisit, incident_id: IncidentInPath) -> Response:
    """Save new answers, and continue with this incident's open questions, or else with the next incident."""
    _, piece = await _find_work(visit, incident_id)
    taxonomy = visit.taxonomy
    answers = read_answers(await read_form(visit.request, _MOST_BYTES), piece.facets(taxonomy))
    for facet_id, answer in answers.items():
        if answer.note and answer.labels is None:
            facet = taxonomy.facet(facet_id)
            raise InvalidInput(
                f"{facet.name} has a note and no label: choose one, or take the note out.", field=facet_id
            )
    given = {facet: answer for facet, answer in answers.items() if answer.labels is not None}
    new = {facet: answer for facet, answer in given.items() if answer != piece.answer(facet)}
    if not given:
        raise InvalidInput("Nothing is chosen yet: press the key of a label, or skip this incident.", field="label")
    piece = await visit.service.labelling.give_all(piece, new) if new else piece
    if piece.open_facets(taxonomy):
        return visit.go_to(f"{_path(piece)}?saved=true")
    return visit.go_to(f"/label?{urlencode({'after': incident_id})}")


async def _work(visit: Visit) -> list[WorkItem]:
    try:
        return await visit.service.labelling.work(visit.annotator, visit.teams)
    except NotFound:
        return []


async def _find_work(visit: Visit, incident_id: str) -> tuple[list[WorkItem], WorkItem]:
    """All work of the annotator, and that on this incident. Raises `NotFound`."""
    pieces = await _work(visit)
    for piece in pieces:
        if piece.assignment.incident_id == incident_id:
            return pieces, piece
    annotator = repr(visit.annotator) if visit.annotator else "you, as you have not said your name yet"
    raise NotFound(f"Incident {incident_id!r} is not assigned to {annotator}.", incident_id=incident_id)


def _path(piece: WorkItem) -> str:
    return _PATH.format(incident_id=piece.assignment.incident_id)


def _questions(taxonomy: Taxonomy, task: Task, draft: dict[str, Answer] | None = None) -> list[Question]:
    asked = task.sheet(taxonomy, draft)
    parents = {each.facet.parent for each in asked}
    untold = {each.facet.id: each.facet.name for each in asked if each.given.labels == ()}
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
                waits_for=f"Not told, like {name}." if (name := untold.get(each.facet.parent or "")) else "",
            )
        )
    return questions


def _parent_names(taxonomy: Taxonomy, asked: FacetQuestion) -> dict[str, str]:
    """Label -> the name of its parent label, if labels of several parents are offered."""
    if asked.facet.parent is None or len({label.parent for label in asked.labels}) < 2:
        return {}
    parent = taxonomy.facet(asked.facet.parent)
    return {label.id: parent.label(label.parent).name for label in asked.labels if label.parent}


@router.get("/label/adjudicate")
async def adjudicate(
    visit: AnnotatorVisit,
    after: After = "",
    cursor: Annotated[str | None, Query(max_length=100)] = None,
    settled: Annotated[str, Query(max_length=128)] = "",
    facet: FacetQuery = "",
) -> Response:
    """Show the newest disagreement, or the first one behind the incident `after`."""
    name, adjudication = visit.annotator, visit.service.adjudication
    page = remaining = await _disputes(visit, cursor) if name else DisputedPage(incidents=(), next_cursor=None)
    if after and (behind := await visit.store.incidents.find_cursor(after)):
        page = await _disputes(visit, behind)
        page = page if page.incidents else remaining
    dispute = before = None
    if page.incidents:
        dispute = await adjudication.dispute(page.incidents[0].incident_id, adjudicator=name)
    if settled and facet and settled in await visit.visible([settled]):
        before = await adjudication.dispute(settled, facet, name)
    return _show(visit, dispute, after=after, remaining=remaining, before=before)


@router.get("/label/adjudicate/incidents/{incident_id}")
async def adjudicate_incident(
    visit: AnnotatorVisit, incident_id: IncidentInPath, facet: FacetQuery = "", after: After = ""
) -> Response:
    """Show the labels of one incident; with `facet` even if that facet is settled."""
    dispute = await visit.service.adjudication.dispute(incident_id, facet or None, visit.required_annotator())
    if dispute is None:
        raise NotFound(
            f"There is nothing to settle of incident {incident_id!r}: nobody labelled it, or all agree.",
            incident_id=incident_id,
        )
    return _show(visit, dispute, after=after, remaining=await _disputes(visit))


@router.post("/label/adjudicate/incidents/{incident_id}")
async def settle(visit: AnnotatorVisit, incident_id: IncidentInPath) -> Response:
    """Make the chosen labels gold and continue. Raises if somebody annotated the incident meanwhile."""
    form = await read_form(visit.request, _MOST_BYTES)
    facet = visit.taxonomy.facet(form.get("facet", ""))
    answer = read_answers(form, [facet])[facet.id]
    if answer.labels is None:
        raise InvalidInput("Nothing is chosen yet: press the key of a label, or skip this incident.", field="label")
    ruling = Ruling(facet.id, answer.labels, answer.note, accepts_new_label=form.get("new") == "yes")
    as_of = Labelled(_number(form, "number"), _number(form, "last"))
    await visit.service.adjudication.settle(incident_id, visit.required_annotator(), [ruling], as_of)
    query = {"after": form.get("after", ""), "settled": incident_id, "facet": facet.id}
    return visit.go_to(f"/label/adjudicate?{urlencode(query)}")


def _show(
    visit: Visit, dispute: Dispute | None, *, after: str, remaining: DisputedPage, before: Dispute | None = None
) -> Response:
    return visit.show(
        "adjudicate.html",
        dispute=dispute,
        question=dispute and _question(dispute),
        names={label.id: label.name for label in dispute.facet.labels} if dispute else {},
        left=len(remaining.incidents),
        more=remaining.next_cursor,
        before=before,
        after=after,
    )


def _question(dispute: Dispute) -> Question:
    annotators: dict[str, list[str]] = {}
    for annotation in dispute.annotations:
        for label in annotation.answer:
            annotators.setdefault(label, []).append(annotation.annotator)
    verdict = dispute.settled
    answer = Answer(None) if verdict is None else Answer(verdict.labels, verdict.note)
    marks = {label: ", ".join(names) for label, names in annotators.items()}
    given = [*annotators, *(verdict.answer if verdict else ())]
    return Question.of(dispute.facet, dispute.labels, answer, marks=marks, given=given)


def _number(form: FormFields, field: str) -> int:
    text = form.get(field, "")
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InvalidInput("The form does not say what was shown: load the page anew.", field=field)
    return int(text)


async def _disputes(visit: Visit, cursor: str | None = None) -> DisputedPage:
    return await visit.service.adjudication.page(_PAGE, cursor, visit.annotator, visit.teams, most=_MOST_SCANNED)


class Choice(NamedTuple):
    """A label to choose; None stands for the answer that the write-up doesn't tell.

    `is_also` marks an additional label; `mark` is shown beside the label. `is_new` if no annotator gave it.
    """

    label: Label | None
    key: str
    is_chosen: bool
    is_also: bool
    mark: str
    is_new: bool

    @property
    def id(self) -> str:
        """Its value in a form."""
        return _id(self.label)

    @property
    def name(self) -> str:
        return self.label.name if self.label else NOT_TOLD.capitalize()


class Question(NamedTuple):
    """A facet to answer.

    There are no `choices` if the parent facet has no answer yet, or its labels have none below them; `waits_for` says
    which. `is_refined` says whether another question depends on this one. `remark` is shown below the question.
    """

    facet: Facet
    choices: tuple[Choice, ...]
    note: str
    is_refined: bool = False
    remark: str = ""
    waits_for: str = ""

    @classmethod
    def of(
        cls,
        facet: Facet,
        labels: Sequence[Label],
        answer: Answer,
        *,
        marks: Mapping[str, str],
        given: Collection[str] | None = None,
        is_refined: bool = False,
        remark: str = "",
        waits_for: str = "",
    ) -> Question:
        """The question with these labels and an earlier answer. Labels after a primary one are chosen separately.

        With `given`, all other labels are new.
        """
        answered = (NOT_TOLD,) if answer.labels == () else answer.labels or ()
        chosen = answered if facet.cardinality == "multi" else answered[:1]
        keyed: list[tuple[Label | None, str]] = [
            (label, _KEYS[n] if n < len(_KEYS) else "") for n, label in enumerate(labels)
        ]
        if keyed and facet.may_be_untold and facet.parent is None:
            keyed.append((None, _NOT_TOLD_KEY))
        choices = tuple(
            Choice(
                label,
                key,
                is_chosen=_id(label) in chosen,
                is_also=_id(label) in answered[1:],
                mark=marks.get(_id(label), ""),
                is_new=given is not None and _id(label) not in given,
            )
            for label, key in keyed
        )
        return cls(facet, choices, answer.note, is_refined, remark, waits_for)

    @property
    def given(self) -> list[Choice]:
        """The choices that take no confirmation."""
        return [choice for choice in self.choices if not choice.is_new]

    @property
    def new(self) -> list[Choice]:
        """The choices that no annotator gave."""
        return [choice for choice in self.choices if choice.is_new]


def _id(label: Label | None) -> str:
    return label.id if label else NOT_TOLD


def read_answers(form: FormFields, facets: Iterable[Facet]) -> dict[str, Answer]:
    """Facet -> the answer in a form; its labels are None if nothing was chosen. Raises `InvalidInput`."""
    answers = {}
    for facet in facets:
        chosen = [value for name in ("label", "also") for value in form.getlist(f"{name}.{facet.id}") if value]
        labels = tuple(dict.fromkeys(chosen)) or None
        if labels and NOT_TOLD in labels:
            if len(labels) > 1:
                raise InvalidInput(f"{facet.name}: choose labels or “Not told”, not both.", field=facet.id)
            labels = ()
        if labels and len(labels) > _MOST_LABELS:
            raise InvalidInput(f"{facet.name} takes at most {_MOST_LABELS} labels.", field=facet.id)
        answers[facet.id] = Answer(labels, read_note(form, f"note.{facet.id}", f"The note on {facet.name}"))
    return answers


def read_note(form: FormFields, field: str, name: str = "The note") -> str:
    """The note in a field of a form. Raises `InvalidInput` if it is too long."""
    note = form.get(field, "").strip()
    if len(note) > _LONGEST_NOTE:
        raise InvalidInput(f"{name} is longer than {_LONGEST_NOTE:,} characters.", field=field)
    return note
