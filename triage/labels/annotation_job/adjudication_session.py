"""One adjudicator's sitting: disagreement after disagreement, parents before children, with a way back."""

from __future__ import annotations

from triage.labels.annotation_job.adjudication import Adjudication, Dispute, Ruling

_PORTION = 200


class Hearing:
    """Leads through all open disagreements that the adjudicator may see."""

    def __init__(self, adjudication: Adjudication, adjudicator: str, incident_ids: list[str]) -> None:
        self.taxonomy = adjudication.taxonomy
        self.settled = 0
        self._adjudication = adjudication
        self._adjudicator = adjudicator
        self._waiting = incident_ids
        self._decided: list[tuple[str, str]] = []
        self._revisited: str | None = None

    @classmethod
    async def open(cls, adjudication: Adjudication, adjudicator: str) -> Hearing:
        """The sitting of an adjudicator over what is open now, newest first."""
        ids: list[str] = []
        cursor = None
        while True:
            page = await adjudication.page(_PORTION, cursor, adjudicator)
            ids += [each.incident_id for each in page.incidents]
            cursor = page.next_cursor
            if cursor is None:
                return cls(adjudication, adjudicator, ids)

    @property
    def remaining(self) -> int:
        """How many incidents are left."""
        return len(self._waiting)

    async def dispute(self) -> Dispute | None:
        """What is to be settled now; None if there is nothing left."""
        while self._waiting:
            if (found := await self._adjudication.dispute(self._waiting[0], self._revisited)) is not None:
                return found
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
