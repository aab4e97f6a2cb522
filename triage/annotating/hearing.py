"""One adjudicator's sitting: disagreement after disagreement, parents before children, with a way back."""

from __future__ import annotations

from typing import NamedTuple

from triage.annotating.adjudication import Adjudication, Ruling
from triage.annotating.disagreement import Disagreement, disagreements, opinions, parent_labels, verdict_on
from triage.annotation import Annotation
from triage.incident import Incident
from triage.store import Store
from triage.taxonomy import Facet, Label

_PORTION = 200


class Dispute(NamedTuple):
    """What is to be settled now: who said what of a facet, and the labels that can be gold for it.

    `parents` are the settled labels of the facet that it refines, empty where it refines none.
    """

    incident: Incident
    facet: Facet
    labels: tuple[Label, ...]
    said: tuple[Annotation, ...]
    settled: Annotation | None
    parents: tuple[str, ...]


class Hearing:
    """Leads through all open disagreements that the adjudicator may see."""

    def __init__(self, adjudication: Adjudication, store: Store, adjudicator: str, incident_ids: list[str]) -> None:
        self.taxonomy = adjudication.taxonomy
        self.settled = 0
        self._adjudication = adjudication
        self._store = store
        self._adjudicator = adjudicator
        self._waiting = incident_ids
        self._decided: list[tuple[str, str]] = []
        self._revisited: str | None = None

    @classmethod
    async def open(cls, adjudication: Adjudication, store: Store, adjudicator: str) -> Hearing:
        """The sitting of an adjudicator over what is open now, newest first."""
        ids: list[str] = []
        cursor = None
        while True:
            page = await adjudication.page(_PORTION, cursor, adjudicator)
            ids += [each.incident_id for each in page.incidents]
            cursor = page.next_cursor
            if cursor is None:
                return cls(adjudication, store, adjudicator, ids)

    @property
    def remaining(self) -> int:
        """How many incidents are left."""
        return len(self._waiting)

    async def dispute(self) -> Dispute | None:
        """What is to be settled now; None if there is nothing left."""
        while self._waiting:
            incident_id = self._waiting[0]
            annotations = await self._store.annotations(incident_id)
            open_ = disagreements(annotations, self.taxonomy)
            if self._revisited is not None:
                said = tuple(each for each in opinions(annotations) if each.facet == self._revisited)
                verdict = verdict_on(self._revisited, annotations)
                again = Disagreement(incident_id=incident_id, facet=self._revisited, annotations=said, settled=verdict)
                return await self._put(again, annotations)
            if open_:
                return await self._put(open_[0], annotations)
            self._waiting.pop(0)
        return None

    async def settle(self, labels: tuple[str, ...], note: str = "") -> None:
        """Keep the decision on what is at hand, and go on. Raises `InvalidInput` where it does not fit other gold."""
        dispute = await self.dispute()
        if dispute is None:
            return
        ruling = Ruling(dispute.facet.id, labels, note)
        await self._adjudication.settle(dispute.incident.id, self._adjudicator, [ruling])
        self._decided.append((dispute.incident.id, dispute.facet.id))
        self._revisited = None
        self.settled += 1

    def skip(self) -> bool:
        """Leave the incident at hand for later. False if there is no other."""
        self._revisited = None
        if len(self._waiting) < 2:
            return False
        self._waiting.append(self._waiting.pop(0))
        return True

    def back(self) -> bool:
        """Return to what was settled before in this sitting. False if nothing was."""
        if not self._decided:
            return False
        incident_id, self._revisited = self._decided.pop()
        self._waiting = [incident_id, *(each for each in self._waiting if each != incident_id)]
        return True

    async def _put(self, open_: Disagreement, annotations: list[Annotation]) -> Dispute:
        facet = self.taxonomy.facet(open_.facet)
        parents = parent_labels(facet, annotations, self.taxonomy)
        incident = (await self._store.incident(open_.incident_id)).incident
        labels = facet.labels if parents is None else tuple(facet.children(parents))
        return Dispute(incident, facet, labels, open_.annotations, open_.settled, parents or ())
