"""What a correction would change in other incidents, and which of them could not be looked at."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Labels

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
