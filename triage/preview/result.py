"""What a preview tells: which incidents would change, how, and which could not be looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from triage.annotation import Annotation, Labels
from triage.taxonomy import Facet
from triage.triage_result import FacetResult, Triage

Kind = Literal["label", "starts abstaining", "stops abstaining", "probability"]
Direction = Literal["towards", "away", "neither"]


class FacetChange(BaseModel, frozen=True):
    """How one facet of an incident would be decided without and with the correction.

    `before` and `after` are labels, empty where it abstains; `likeliest` ones and their probabilities are there in any
    case. `triaged` is what the stored triage says. `person` holds the labels of a person, if one gave any that count,
    and `direction` tells whether the change leads there.
    """

    facet: str
    kind: Kind
    triaged: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    likeliest_before: str | None
    likeliest_after: str | None
    probability_before: float | None
    probability_after: float | None
    person: tuple[str, ...] = ()
    direction: Direction | None = Field(description="Null where no person's label counts.")


class ChangedIncident(BaseModel, frozen=True):
    """An incident that would change. `similarity` is the cosine of its embedding and the corrected incident's."""

    incident_id: str
    title: str
    url: str
    similarity: float
    triaged_at: AwareDatetime
    changes: tuple[FacetChange, ...]

    @property
    def has_other_labels(self) -> bool:
        """True if more than probabilities would change."""
        return any(change.kind != "probability" for change in self.changes)


class NotCompared(BaseModel, frozen=True):
    """Incidents whose triage was made in other circumstances, so that a difference would not be the correction's."""

    reason: str
    incidents: tuple[str, ...]


class Preview(BaseModel, frozen=True):
    """What would become of recent incidents if a correction joined the history. Nothing of it is stored.

    Labels of the corrected incident are its gold labels, empty where it is no part of the history. `incidents` are
    those that would change: other labels first, then those of which only probabilities move, each nearest first.
    `not_reached` are those for which there was no time, the farthest ones. `history` counts the incidents that were
    learned from.
    """

    incident_id: str
    labels_before: Labels
    labels_after: Labels
    since: AwareDatetime
    looked_at: int
    incidents: tuple[ChangedIncident, ...] = ()
    not_compared: tuple[NotCompared, ...] = ()
    not_reached: tuple[str, ...] = ()
    history: int = 0
    seconds: float = 0.0
    notes: tuple[str, ...] = ()

    def count(self, direction: Direction) -> int:
        """How many facets would move so with regard to a person's label, probabilities alone left aside."""
        changes = [change for incident in self.incidents for change in incident.changes]
        return sum(change.direction == direction for change in changes if change.kind != "probability")


def changes_of(
    facets: Mapping[str, Facet],
    triage: Triage,
    before: Mapping[str, FacetResult],
    after: Mapping[str, FacetResult],
    people: Mapping[str, Annotation],
    least_shift: float,
) -> tuple[FacetChange, ...]:
    """The facets that would be decided otherwise, or whose probability would move by at least `least_shift`."""
    found = []
    for facet_id, was in before.items():
        becomes = after[facet_id]
        kind = _kind(was, becomes, least_shift)
        if kind is None:
            continue
        person = people[facet_id].labels if facet_id in people else ()
        stored = triage.facets.get(facet_id)
        found.append(
            FacetChange(
                facet=facet_id,
                kind=kind,
                triaged=stored.labels if stored else (),
                before=was.labels,
                after=becomes.labels,
                likeliest_before=_likeliest(was),
                likeliest_after=_likeliest(becomes),
                probability_before=was.probability,
                probability_after=becomes.probability,
                person=person,
                direction=_direction(facets[facet_id], person, was, becomes) if person else None,
            )
        )
    return tuple(found)


def _kind(was: FacetResult, becomes: FacetResult, least_shift: float) -> Kind | None:
    if was.labels != becomes.labels:
        return "starts abstaining" if not becomes.labels else "stops abstaining" if not was.labels else "label"
    shift = abs((was.probability or 0.0) - (becomes.probability or 0.0))
    is_other = _likeliest(was) != _likeliest(becomes)
    return "probability" if is_other or shift >= least_shift else None


def _direction(facet: Facet, person: tuple[str, ...], was: FacetResult, becomes: FacetResult) -> Direction:
    """By how alike the labels are to the person's, or where that is the same by how likely the person's label is."""
    gain = _likeness(facet, person, becomes.labels) - _likeness(facet, person, was.labels)
    if not gain:
        gain = _probability(becomes, person[0]) - _probability(was, person[0])
    return "towards" if gain > 0 else "away" if gain < 0 else "neither"


def _likeness(facet: Facet, person: tuple[str, ...], labels: tuple[str, ...]) -> float:
    if facet.cardinality == "multi":
        return len({*person} & {*labels}) / len({*person} | {*labels})
    return float(labels[:1] == person[:1])


def _probability(result: FacetResult, label: str) -> float:
    return next((one.probability for one in result.distribution if one.label == label), 0.0)


def _likeliest(result: FacetResult) -> str | None:
    return next((one.label for one in result.distribution), None) if not result.labels else result.labels[0]
