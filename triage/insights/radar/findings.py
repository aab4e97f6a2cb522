"""The radar's findings: poorly fitting incidents with reasons, and groups of them with a draft label each."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.taxonomy import Label
from triage.labels.codebook.terms import Term
from triage.render.tables import Column, Row, Table

ReasonKind = Literal["abstained", "unlikely", "residual", "far"]


class Reason(BaseModel, frozen=True):
    """Why an incident fits poorly: the triage `abstained`, its label is `unlikely` or `residual` (it means that no
    other label fits), or the incident is `far` from every labelled one."""

    kind: ReasonKind
    detail: str


class IllFitting(BaseModel, frozen=True):
    """An incident that no label of the facet fits. `title` is redacted; `seen_at` is when it began or arrived."""

    incident_id: str
    title: str
    seen_at: AwareDatetime
    reasons: tuple[Reason, ...]


class Nearness(BaseModel, frozen=True):
    """The mean similarity of a group to the `n` incidents with a label."""

    label: str
    similarity: float
    n: int = Field(gt=0)


class ShownIncident(BaseModel, frozen=True):
    """A redacted incident of a group, with its mean similarity to the others and the sentence most typical of the group
    ("" if none)."""

    incident_id: str
    title: str
    sentence: str
    similarity: float


class Draft(BaseModel, frozen=True):
    """A draft label made from a group, for a person to check. `by` is `words`, or a model and its prompt."""

    label: Label
    by: str = "words"


class RadarGroup(BaseModel, frozen=True):
    """Similar incidents that no label fits.

    `size` counts near duplicates once; `incidents` lists all, most typical first. `cohesion` is the mean similarity of
    its pairs: the cosine of centred embeddings, -1 to 1. `apartness` is the share of their five nearest neighbours that
    are in the group. `nearest` are the most similar labels. `months` counts incidents by month, such as `2026-03`.
    `terms` separate the group from other incidents.
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
    """Whether recent incidents suggest a label that `facet` lacks.

    `recent` incidents were compared with `labelled` ones. `ill_fitting` are newest first and include near duplicates;
    `unread` of them have no vector yet and were not compared. `groups` are largest first; `quiet` says why there are
    none. `degraded_reason` says why the model did not word the drafts.
    """

    taxonomy: str
    facet: str
    recent: int
    labelled: int
    unread: int = 0
    ill_fitting: tuple[IllFitting, ...]
    groups: tuple[RadarGroup, ...]
    quiet: str | None = None
    notes: tuple[str, ...] = ()
    degraded_reason: str | None = None


def radar_table(found: Radar) -> Table:
    """One row per group, largest first, with its incidents."""
    columns = (
        Column("draft label"),
        Column("distinct incidents", "count"),
        Column("cohesion", "number"),
        Column("apartness", "share"),
        Column("nearest label"),
        Column("first seen"),
        Column("last seen"),
        Column("terms"),
    )
    rows = tuple(
        Row(
            (
                group.draft.label.id,
                group.size,
                group.cohesion,
                group.apartness,
                group.nearest[0].label if group.nearest else None,
                group.first_seen.isoformat(),
                group.last_seen.isoformat(),
                ", ".join(term.term for term in group.terms),
            ),
            group.incidents,
        )
        for group in found.groups
    )
    caption = f"{found.recent} recent incidents, {len(found.ill_fitting)} of which no label of {found.facet} fits well."
    return Table("radar", "Groups that no label fits", caption, columns, rows)
