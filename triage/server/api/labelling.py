"""Labelling over HTTP: an annotator is given incident after incident, without what others said of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Labels
from triage.domain.taxonomy import Label, Taxonomy
from triage.labels.annotation_job.labelling import Task
from triage.server.api.access import Annotator
from triage.server.api.answers import answer, links
from triage.server.api.problems import documented
from triage.server.api.service import Parts

router = APIRouter(prefix="/v1/annotators", tags=["annotation"])


class FacetToLabel(BaseModel, frozen=True):
    """A question, and the labels that can answer it: all, or those under the annotator's own parent label."""

    id: str
    name: str
    question: str
    cardinality: Literal["single", "multi", "primary_first"]
    parent: str | None
    labels: tuple[Label, ...] = Field(description="Empty while the facet that this one refines has no label.")
    given: tuple[str, ...] = Field(description="What the annotator themselves said so far.")
    is_open: bool = Field(description="True if it waits for an answer.")


class LabellingTask(BaseModel, frozen=True):
    """An incident to be labelled. Post the labels to `annotations`, under the annotator's name."""

    incident_id: str
    title: str
    write_up: str
    service: str
    severity: str
    url: str
    started_at: AwareDatetime | None
    facets: tuple[FacetToLabel, ...]
    model: Labels | None = Field(description="The model's labels; null unless the assignment lets them be seen.")
    annotations: str = Field(description="Where to post the labels.")

    @classmethod
    def of(cls, task: Task, taxonomy: Taxonomy) -> LabellingTask:
        """The task in the words of the API."""
        incident = task.incident
        facets = tuple(
            FacetToLabel(
                id=asked.facet.id,
                name=asked.facet.name,
                question=asked.facet.question,
                cardinality=asked.facet.cardinality,
                parent=asked.facet.parent,
                labels=asked.labels,
                given=asked.given.labels,
                is_open=asked.is_open,
            )
            for asked in task.sheet(taxonomy)
        )
        own = {name: getattr(incident, name) for name in cls.model_fields if name in type(incident).model_fields}
        place = links(incident.id).annotations
        return cls(incident_id=incident.id, facets=facets, model=task.model, annotations=place, **own)


class NextTask(BaseModel, frozen=True):
    """What an annotator is to label next; `task` is null when all that is assigned to them is done."""

    annotator: str
    assigned: int
    done: int
    task: LabellingTask | None


@router.get("/{annotator}/next", operation_id="next_task", response_model=NextTask, responses=documented(404, 422))
async def next_task(
    service: Parts,
    who: Annotator,
    annotator: str,
    skip: Annotated[
        list[str] | None, Query(max_length=200, description="Ids of incidents to be given only when no other is left.")
    ] = None,
) -> Response:
    """Give the annotator the next incident that is assigned to them, without the labels of anyone else.

    That it was given, and whether with the model's labels, is kept: an annotation that the annotator posts afterwards
    gets its `saw_model` from that. 404 if nothing is assigned to them.
    """
    task, progress = await service.labelling.next(annotator, skip or (), who.teams)
    given = None if task is None else LabellingTask.of(task, service.casebook.taxonomy)
    body = NextTask(annotator=annotator, assigned=progress.assigned, done=progress.done, task=given)
    return answer(body, headers={"Cache-Control": "no-store"})
