"""The preview of a correction: what it would change in other incidents."""

from __future__ import annotations

from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from triage.domain.annotation import Labels

Kind = Literal["label", "starts abstaining", "stops abstaining", "probability"]
Direction = Literal["towards", "away", "neither"]


class FacetChange(BaseModel, frozen=True):
    """The decision on one facet of an incident without and with the correction.

    `before` and `after` are the labels, empty if it abstains. `likeliest_*` and `probability_*` are given even then.
    `triaged` holds the labels of the stored triage. `person` holds a person's labels, if there are any that count, and
    `direction` says whether the change goes towards them.
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
    """An incident that would change. `similarity` is the cosine similarity to the corrected incident."""

    incident_id: str
    title: str
    url: str
    similarity: float
    triaged_at: AwareDatetime
    changes: tuple[FacetChange, ...]

    @property
    def has_other_labels(self) -> bool:
        """True if more than the probabilities would change."""
        return any(change.kind != "probability" for change in self.changes)


class NotCompared(BaseModel, frozen=True):
    """Incidents whose triage had other settings, so that a difference would not be due to the correction."""

    reason: str
    incidents: tuple[str, ...]


class Preview(BaseModel, frozen=True):
    """The effect on recent incidents if a correction joined the history. Nothing of it is stored.

    `labels_before` and `labels_after` are the gold labels of the corrected incident, empty if it is not in the history.
    `incidents` would change: those with other labels first, then those with other probabilities, each nearest first.
    `not_reached` are the farthest ones, for which there was no time. `history` counts the incidents learned from.
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
        """The number of facets whose labels would change in this direction."""
        changes = [change for incident in self.incidents for change in incident.changes]
        return sum(change.direction == direction for change in changes if change.kind != "probability")
