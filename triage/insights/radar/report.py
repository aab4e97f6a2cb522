"""What the radar finds: ill-fitting incidents with the reasons, and groups of them with a draft label each."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.taxonomy import Label
from triage.labels.codebook.terms import Term

ReasonKind = Literal["abstained", "unlikely", "residual", "far"]


class Reason(BaseModel, frozen=True):
    """Why an incident fits ill: triage `abstained`, its label is `unlikely`, the label is `residual` (it says itself
    that no other fits), or the incident is `far` from every labelled one."""

    kind: ReasonKind
    detail: str


class IllFitting(BaseModel, frozen=True):
    """An incident that no label of the facet fits well. `title` is redacted; `seen_at` is when it began, else came."""

    incident_id: str
    title: str
    seen_at: AwareDatetime
    reasons: tuple[Reason, ...]


class Nearness(BaseModel, frozen=True):
    """How near a group is to a label: the mean similarity of its incidents to the `n` labelled ones that have it."""

    label: str
    similarity: float
    n: int = Field(gt=0)


class ShownIncident(BaseModel, frozen=True):
    """An incident of a group, redacted. `similarity` is its mean similarity to the others of the group, and `sentence`
    the one of it that tells most of what the group has in common ("" where none does)."""

    incident_id: str
    title: str
    sentence: str
    similarity: float


class Draft(BaseModel, frozen=True):
    """A draft of a label, made from a group: a start for a person, and no finding. `by` says who worded it: `words`,
    or a model and its prompt."""

    label: Label
    by: str = "words"


class Group(BaseModel, frozen=True):
    """Ill-fitting incidents that are alike.

    `size` counts nearly the same ones once, `incidents` names all, those that are most alike first. `cohesion` is the
    mean similarity of two of them: the cosine of their embeddings, -1 to 1, once the mean of the labelled incidents is
    taken off. `apartness` is the share of their five nearest incidents, labelled ones included, that are of the group.
    `nearest` are the labels nearest to it. `months` counts the incidents by month, as in `2026-03`. `terms` tell the
    group from the other incidents.
    """

    size: int = Field(ge=2)
    incidents: tuple[str, ...]
    cohesion: float
    apartness: float = Field(ge=0, le=1)
    nearest: tuple[Nearness, ...]
    first_seen: AwareDatetime
    last_seen: AwareDatetime
    months: dict[str, int]
    terms: tuple[Term, ...]
    examples: tuple[ShownIncident, ...]
    draft: Draft


class Radar(BaseModel, frozen=True):
    """Whether recent incidents suggest a label that `facet` does not have.

    `recent` incidents were looked at and compared with `labelled` ones. `ill_fitting` are those that no label fits
    well, newest first, nearly the same ones too; `unread` of them have no vector yet and were not compared. `groups`
    stand largest first. `quiet` says why there is none. `degraded_reason` says why drafts are not worded by the model
    that was asked for.
    """

    taxonomy: str
    facet: str
    recent: int
    labelled: int
    unread: int = 0
    ill_fitting: tuple[IllFitting, ...]
    groups: tuple[Group, ...]
    quiet: str | None = None
    notes: tuple[str, ...] = ()
    degraded_reason: str | None = None
