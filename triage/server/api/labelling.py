"""Labels over HTTP: annotations, their preview, disagreements, adjudications, and an annotator's next task."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Annotation, Labels
from triage.domain.correction_preview import Preview
from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Label, Taxonomy
from triage.labels.annotation_job.adjudication import DisputedPage, Ruling
from triage.labels.annotation_job.disagreement import Verdict
from triage.labels.annotation_job.labelling import Task
from triage.labels.preview import DEFAULT_OPTIONS
from triage.server.api.access import Annotator, Reader, requires
from triage.server.api.answers import (
    CONDITIONAL,
    TAGGED,
    Annotations,
    ExpectedAnnotations,
    answer,
    links,
    tagged_annotations,
)
from triage.server.api.bodies import Text, read_models
from triage.server.api.openapi import json_list_body
from triage.server.api.parameters import Cursor, IncidentInPath, Limit
from triage.server.api.problems import documented
from triage.server.api.service import Parts

router = APIRouter(prefix="/v1")

_DAYS = Query(gt=0, le=365, description="Only incidents triaged within this many days.")
_SECONDS = Query(
    ge=0, le=30, description="Start nothing optional after this many seconds; `not_reached` lists what was left out."
)
_LIMIT = Query(ge=1, le=500, description="The maximum number of incidents; the latest triaged come first.")


class NewAnnotation(BaseModel, frozen=True, extra="forbid"):
    """A person's labels for one facet of one incident. `is_gold` adds the incident to the history at once."""

    facet: str = Field(min_length=1, max_length=100)
    labels: tuple[str, ...] = Field(
        max_length=20,
        description="None, if the write-up doesn't tell and the facet has no label for that. The facets below are then "
        "not told either.",
    )
    annotator: Text = Field(min_length=1, max_length=200)
    is_gold: bool = False
    note: Text = Field(default="", max_length=4000)

    def annotation(self, incident_id: str) -> Annotation:
        """The annotation of this incident."""
        return Annotation(incident_id=incident_id, origin="human", **self.model_dump())


class NewAdjudication(BaseModel, frozen=True, extra="forbid"):
    """The gold labels of one facet, decided from its annotations. The first label is the primary one."""

    facet: str = Field(min_length=1, max_length=100)
    labels: tuple[str, ...] = Field(
        max_length=20, description="None settle that the write-up doesn't tell: the incident has no label there."
    )
    annotator: Text = Field(min_length=1, max_length=200, description="Who adjudicates.")
    note: Text = Field(default="", max_length=4000, description="The reason.")
    accepts_new_label: bool = Field(default=False, description="Needed for a label that no annotator gave.")


class Verdicts(BaseModel, frozen=True):
    """The adjudications of one incident, oldest first, each with the annotations that it settles."""

    verdicts: tuple[Verdict, ...]


class FacetToLabel(BaseModel, frozen=True):
    """A facet, and the labels to choose from: all, or those under the annotator's own parent label."""

    id: str
    name: str
    question: str
    cardinality: Literal["single", "multi", "primary_first"]
    parent: str | None
    labels: tuple[Label, ...] = Field(description="Empty until the parent facet has a label.")
    given: tuple[str, ...] = Field(description="The annotator's own labels so far.")
    is_open: bool = Field(description="True if it needs labels.")


class LabellingTask(BaseModel, frozen=True):
    """An incident to label. Post the labels to `annotations`, under the annotator's name."""

    incident_id: str
    title: str
    write_up: str
    service: str
    severity: str
    url: str
    started_at: AwareDatetime | None
    facets: tuple[FacetToLabel, ...]
    model: Labels | None = Field(description="The model's labels; null unless the assignment shows them.")
    annotations: str = Field(description="Where to post the labels.")

    @classmethod
    def of(cls, task: Task, taxonomy: Taxonomy) -> LabellingTask:
        """The task as the API describes it."""
        incident = task.incident
        facets = tuple(
            FacetToLabel(
                **asked.facet.model_dump(include={"id", "name", "question", "cardinality", "parent"}),
                labels=asked.labels,
                given=asked.given.labels or (),
                is_open=asked.is_open,
            )
            for asked in task.sheet(taxonomy)
        )
        own = {name: getattr(incident, name) for name in cls.model_fields if name in type(incident).model_fields}
        path = links(incident.id).annotations
        return cls(incident_id=incident.id, facets=facets, model=task.model, annotations=path, **own)


class NextTask(BaseModel, frozen=True):
    """The next incident for an annotator to label; `task` is null when all assigned ones are done."""

    annotator: str
    assigned: int
    done: int
    task: LabellingTask | None


_ANNOTATIONS_BODY = json_list_body(
    NewAnnotation,
    {"facet": "category", "labels": ["inference_engine"], "annotator": "ada@example.org", "is_gold": True},
)


@router.post(
    "/incidents/{incident_id}/annotations",
    tags=["incidents"],
    status_code=201,
    response_model=Annotations,
    openapi_extra=_ANNOTATIONS_BODY,
    responses=documented(412),
    dependencies=[requires("annotate")],
)
async def post_annotations(
    request: Request, service: Parts, incident_id: IncidentInPath, expected: ExpectedAnnotations
) -> Response:
    """Label an incident: one annotation or a list of them, all or none.

    A gold label adds the incident to the history at once. An annotator's latest annotation of a facet counts; one
    without `is_gold` withdraws the same annotator's gold label. Repeating the previous annotation stores nothing. A
    label that contradicts the same annotator's label of the facet above or below is refused: to change both, send them
    together. With `If-Match`, nothing is stored if the incident's annotations changed since.
    """
    posted = await read_models(request, NewAnnotation)
    annotations = [each.annotation(incident_id) for each in posted]
    stored = await service.casebook.annotate(incident_id, annotations, expected)
    return answer(Annotations(annotations=tuple(stored)), 201)


@router.get(
    "/incidents/{incident_id}/annotations",
    tags=["incidents"],
    response_model=Annotations,
    responses=TAGGED,
    dependencies=[requires("read"), CONDITIONAL],
)
async def list_annotations(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """List the annotations of an incident, oldest first."""
    await service.store.incidents.get(incident_id)
    return tagged_annotations(request, await service.store.annotations.list(incident_id))


@router.post(
    "/incidents/{incident_id}/annotations/preview",
    tags=["incidents"],
    response_model=Preview,
    openapi_extra=_ANNOTATIONS_BODY,
)
async def preview_annotations(
    request: Request,
    service: Parts,
    principal: Annotator,
    incident_id: IncidentInPath,
    days: Annotated[float, _DAYS] = DEFAULT_OPTIONS.days,
    limit: Annotated[int, _LIMIT] = DEFAULT_OPTIONS.most,
    seconds: Annotated[float, _SECONDS] = DEFAULT_OPTIONS.seconds,
) -> Response:
    """Preview how these annotations would change the triage of other recent incidents. Nothing is stored.

    Each incident is decided twice from the model's stored answer and the history, as it is and as it would be, so a
    difference comes from the correction alone. No model is called. Incidents triaged with another model, prompt,
    taxonomy, calibrator or embedder are listed with the reason, and so are those that the time did not allow. A key
    sees its teams' incidents only.
    """
    posted = await read_models(request, NewAnnotation)
    options = DEFAULT_OPTIONS._replace(days=days, most=limit, seconds=seconds)
    annotations = [each.annotation(incident_id) for each in posted]
    preview = await service.previewer.preview(incident_id, annotations, principal.teams, options)
    return answer(preview, headers={"Cache-Control": "no-store"})


@router.get("/disagreements", tags=["annotation"], response_model=DisputedPage)
async def list_disagreements(
    service: Parts,
    principal: Reader,
    limit: Limit = 50,
    cursor: Cursor = None,
    annotator: Annotated[
        str | None,
        Query(max_length=200, description="Who adjudicates: incidents that they have yet to label are left out."),
    ] = None,
) -> Response:
    """List the unsettled incidents on which annotators disagree, newest first, with each annotator's labels."""
    return answer(await service.adjudication.page(limit, cursor, annotator, principal.teams))


@router.post(
    "/incidents/{incident_id}/adjudications",
    tags=["annotation"],
    status_code=201,
    response_model=Annotations,
    openapi_extra=json_list_body(
        NewAdjudication,
        {
            "facet": "category",
            "labels": ["inference_engine"],
            "annotator": "lin@example.org",
            "note": "The write-up names the leak in the router; the release only brought it in.",
        },
    ),
    responses=documented(409),
    dependencies=[requires("annotate")],
)
async def post_adjudications(request: Request, service: Parts, incident_id: IncidentInPath) -> Response:
    """Settle one or several facets of an incident, all or none. The labels become gold.

    Each adjudication lists in `settles` the annotations that it was made from. Settling a facet also accepts the labels
    of its parent facet if all annotators agree on them. A label that no annotator gave needs `accepts_new_label`.
    """
    posted = await read_models(request, NewAdjudication)
    adjudicators = {each.annotator for each in posted}
    if len(adjudicators) > 1:
        raise InvalidInput("Adjudications in one request must have the same annotator.", field="annotator")
    rulings = [Ruling(each.facet, each.labels, each.note, each.accepts_new_label) for each in posted]
    stored = await service.adjudication.settle(incident_id, adjudicators.pop(), rulings)
    return answer(Annotations(annotations=tuple(stored)), 201)


@router.get(
    "/incidents/{incident_id}/adjudications",
    tags=["annotation"],
    response_model=Verdicts,
    dependencies=[requires("read")],
)
async def list_adjudications(service: Parts, incident_id: IncidentInPath) -> Response:
    """List the adjudications of an incident: who settled what, when, and from which annotations."""
    return answer(Verdicts(verdicts=tuple(await service.adjudication.history(incident_id))))


@router.get("/annotators/{annotator}/next", tags=["annotation"], response_model=NextTask)
async def next_task(
    service: Parts,
    principal: Annotator,
    annotator: str,
    skip: Annotated[
        list[str] | None, Query(max_length=200, description="Ids of incidents to return only if no other is left.")
    ] = None,
) -> Response:
    """Get the annotator's next assigned incident, without the labels of anyone else.

    The service records that it was shown, and whether with the model's labels: later annotations by the annotator get
    their `saw_model` from that. 404 if nothing is assigned to them.
    """
    task, progress = await service.labelling.next(annotator, skip or (), principal.teams)
    shown = None if task is None else LabellingTask.of(task, service.casebook.taxonomy)
    body = NextTask(annotator=annotator, assigned=progress.assigned, done=progress.done, task=shown)
    return answer(body, headers={"Cache-Control": "no-store"})
