"""The radar's findings: poorly fitting incidents with reasons, and groups of them with a draft label each."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

import numpy as np
from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Label
from triage.domain.triage_result import FacetResult
from triage.insights.radar.clustering import LEAST_TO_COMPARE
from triage.labels.codebook.terms import Term
from triage.models.embedding import Vectors
from triage.render.tables import Cell, Row, Table, columns_of

ReasonKind = Literal["abstained", "unlikely", "residual", "far"]


class Reason(BaseModel, frozen=True):
    """Why an incident fits poorly: the triage `abstained`, its label is `unlikely` or `residual` (it means that no
    other label fits), or the incident is `far` from every labelled one."""

    kind: ReasonKind
    detail: str


class Sighting(NamedTuple):
    """A recent incident with the time it began or arrived, its gold labels of the facet, and its triage result.

    `nearest` is the cosine similarity to the most similar incident of the history, if known.
    """

    incident: Incident
    seen_at: datetime
    labels: tuple[str, ...] = ()
    result: FacetResult | None = None
    nearest: float | None = None

    @property
    def id(self) -> str:
        return self.incident.id


def reasons(facet: Facet, sighting: Sighting, least_probability: float, usual: float | None) -> tuple[Reason, ...]:
    """Why no label of `facet` fits the incident; empty if one does, or if the write-up does not disclose it.

    Gold labels take precedence over the triage. Below the similarity `usual` an incident is far from all others, see
    `usual_nearest`; None disables this.
    """
    if sighting.labels:
        return _of_label(facet, sighting.labels, "gold")
    why: list[Reason] = []
    result = sighting.result
    if result is not None and not result.labels:
        why.append(Reason(kind="abstained", detail=result.abstention or "Triage abstained."))
    elif result is not None:
        if facet.label(result.labels[0]).undisclosed:
            return ()
        why += _of_label(facet, result.labels, "triage")
        if result.probability is not None and result.probability < least_probability:
            sureness = "" if result.is_calibrated else ", not calibrated"
            digits = _digits_apart(result.probability, least_probability)
            why.append(
                Reason(
                    kind="unlikely",
                    detail=f"{result.labels[0]} has a probability of {result.probability:.{digits}%}{sureness}: "
                    f"below {least_probability:.{digits}%}.",
                )
            )
    if usual is not None and sighting.nearest is not None and sighting.nearest < usual:
        why.append(
            Reason(
                kind="far",
                detail=f"The most similar labelled incident has a cosine similarity of {sighting.nearest:.2f}; it is "
                f"{usual:.2f} or more for most of them.",
            )
        )
    return tuple(why)


def usual_nearest(vectors: Vectors, share: float) -> float | None:
    """The similarity to their nearest neighbour that all but `share` of these incidents reach.

    `vectors` has shape (incidents, dimension). None if there are fewer than `LEAST_TO_COMPARE`.
    """
    if len(vectors) < LEAST_TO_COMPARE:
        return None
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1.0)
    return float(np.quantile(alike.max(axis=1), share))


def _digits_apart(first: float, second: float) -> int:
    """The number of decimals at which two percentages differ."""
    return next((n for n in range(5) if f"{first:.{n}%}" != f"{second:.{n}%}"), 5)


def _of_label(facet: Facet, labels: Sequence[str], by: str) -> tuple[Reason, ...]:
    label = facet.label(labels[0])
    if not label.residual:
        return ()
    return (Reason(kind="residual", detail=f"Its label ({by}) is {label.id}, which says that no other label fits."),)


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


def radar_table(radar: Radar) -> Table:
    """One row per group, largest first, with its incidents."""
    columns = columns_of(
        "draft label | distinct incidents:count | cohesion:number | apartness:share | nearest label | first seen"
        " | last seen | terms"
    )
    rows = []
    for group in radar.groups:
        cells: list[Cell] = [group.draft.label.id, group.size, group.cohesion, group.apartness]
        cells += [group.nearest[0].label if group.nearest else None]
        cells += [group.first_seen.isoformat(), group.last_seen.isoformat()]
        cells += [", ".join(term.term for term in group.terms)]
        rows.append(Row(tuple(cells), group.incidents))
    caption = f"{radar.recent} recent incidents, {len(radar.ill_fitting)} of which no label of {radar.facet} fits well."
    return Table("radar", "Groups that no label fits", caption, columns, tuple(rows))
