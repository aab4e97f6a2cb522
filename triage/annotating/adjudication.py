"""Adjudication: someone settles what annotators disagree on; the gold label keeps what it was made from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from triage.annotating.disagreement import (
    Disagreement,
    Verdict,
    agreed,
    disagreements,
    opinions,
    parent_labels,
    verdict_on,
    verdicts,
)
from triage.annotating.labelling import Piece, own
from triage.annotation import Annotation
from triage.casebook import Casebook
from triage.errors import Conflict, InvalidInput
from triage.store import Store
from triage.store.rows import read_cursor, write_cursor

_CHUNK = 100


class Disputed(BaseModel, frozen=True):
    """An incident with its open disagreements, in the taxonomy's order: parents come first."""

    incident_id: str
    title: str
    disagreements: tuple[Disagreement, ...]


class DisputedPage(BaseModel, frozen=True):
    """Some incidents with open disagreements, newest first, and the cursor of the next page (None on the last)."""

    incidents: tuple[Disputed, ...]
    next_cursor: str | None


class Ruling(NamedTuple):
    """What an adjudicator decides of one facet. The first label is the primary; the note says why."""

    facet: str
    labels: tuple[str, ...]
    note: str = ""


class Accepted(NamedTuple):
    """What `accept_agreed` made gold: how many facets of how many incidents; and what could not be, with the reason."""

    facets: int
    incidents: int
    left_out: list[str]


class Adjudication:
    """The adjudication of everything that is labelled."""

    def __init__(self, casebook: Casebook, store: Store) -> None:
        self.taxonomy = casebook.taxonomy
        self._casebook = casebook
        self._store = store

    async def page(
        self,
        limit: int,
        cursor: str | None = None,
        adjudicator: str | None = None,
        teams: Collection[str] | None = None,
    ) -> DisputedPage:
        """Incidents with open disagreements; for an `adjudicator` without those that they are still to label.

        With `teams` only those of these teams.
        """
        before = None if cursor is None else read_cursor(cursor)
        found: list[tuple[int, str, list[Disagreement]]] = []
        while len(found) <= limit and (
            chunk := await self._store.labelled(2, before=before, limit=_CHUNK, teams=teams)
        ):
            blind = await self._blind(adjudicator, [incident_id for _, incident_id in chunk])
            annotations = await self._store.annotations_of([incident_id for _, incident_id in chunk])
            for seq, incident_id in chunk:
                if incident_id not in blind and (open_ := disagreements(annotations[incident_id], self.taxonomy)):
                    found.append((seq, incident_id, open_))
            before = chunk[-1][0]
        shown = found[:limit]
        stored = await self._store.incidents([incident_id for _, incident_id, _ in shown])
        return DisputedPage(
            incidents=tuple(
                Disputed(incident_id=key, title=stored[key].incident.title, disagreements=tuple(open_))
                for _, key, open_ in shown
            ),
            next_cursor=write_cursor(shown[-1][0]) if len(found) > limit else None,
        )

    async def settle(self, incident_id: str, adjudicator: str, rulings: Sequence[Ruling]) -> list[Annotation]:
        """Make gold labels out of what annotators said, all or none; each settles all that was said of its facet.

        Settling a facet also accepts what all say of the facet that it refines. Raises `NotFound`, `Conflict` if the
        adjudicator has still to label the facet themselves, and `InvalidInput` for what nobody labelled or what does
        not fit together.
        """
        await self._store.incident(incident_id)
        annotations = await self._store.annotations(incident_id)
        waiting = await self._blind(adjudicator, [incident_id])
        decided = {ruling.facet: ruling for ruling in rulings}
        for ruling in rulings:
            facet = self.taxonomy.facet(ruling.facet)
            if facet.id in waiting.get(incident_id, ()):
                raise Conflict(
                    f"{adjudicator!r} has still to label {facet.id!r} of {incident_id!r} without seeing the others: "
                    "label it first, or let someone else settle it.",
                    incident_id=incident_id,
                    facet=facet.id,
                )
            if facet.parent is not None and facet.parent not in decided:
                parents = parent_labels(facet, annotations, self.taxonomy)
                if parents is not None and verdict_on(facet.parent, annotations) is None:
                    decided[facet.parent] = Ruling(facet.parent, parents)
        return await self._casebook.annotate(
            incident_id, [_gold(incident_id, adjudicator, each, annotations) for each in decided.values()]
        )

    async def accept_agreed(self, adjudicator: str, progress: Callable[[int, int], None] | None = None) -> Accepted:
        """Make gold whatever at least two people agree on. What would not fit its parent label is left out."""
        ids = [incident_id for _, incident_id in await self._store.labelled(2)]
        facets, incidents, left_out = 0, 0, list[str]()
        for done, incident_id in enumerate(ids, start=1):
            annotations = await self._store.annotations(incident_id)
            rulings = []
            for one in agreed(annotations, self.taxonomy):
                try:
                    parents = parent_labels(self.taxonomy.facet(one.facet), annotations, self.taxonomy)
                    self._check(one.facet, one.labels, parents)
                except InvalidInput as error:
                    left_out.append(f"{incident_id}: {error.detail}")
                else:
                    rulings.append(Ruling(one.facet, one.labels))
            try:
                if rulings:
                    await self._casebook.annotate(
                        incident_id, [_gold(incident_id, adjudicator, each, annotations) for each in rulings]
                    )
                    facets, incidents = facets + len(rulings), incidents + 1
            except InvalidInput as error:
                left_out.append(f"{incident_id}: {error.detail}")
            if progress is not None:
                progress(done, len(ids))
        return Accepted(facets, incidents, left_out)

    async def history(self, incident_id: str) -> list[Verdict]:
        """Every adjudication of an incident, oldest first, with what it was made from. Raises `NotFound`."""
        await self._store.incident(incident_id)
        return verdicts(await self._store.annotations(incident_id))

    def _check(self, facet_id: str, labels: Sequence[str], parents: Sequence[str] | None) -> None:
        facet = self.taxonomy.facet(facet_id)
        if parents is not None:
            self.taxonomy.validate_labels({str(facet.parent): tuple(parents), facet_id: tuple(labels)})

    async def _blind(self, adjudicator: str | None, incident_ids: Sequence[str]) -> dict[str, set[str]]:
        """Incident -> facets that are assigned to the adjudicator and that they have not labelled yet."""
        if adjudicator is None:
            return {}
        wanted = set(incident_ids)
        mine = [each for each in await self._store.assignments.all(adjudicator) if each.incident_id in wanted]
        annotations = await self._store.annotations_of([each.incident_id for each in mine])
        pieces = [Piece(each, own(annotations[each.incident_id], adjudicator)) for each in mine]
        waiting = {}
        for piece in pieces:
            # A child waits with its parent, though it is not asked for before.
            if open_ := {facet.id for facet in piece.open_facets(self.taxonomy)}:
                missing = {facet for facet in piece.assignment.facets if facet not in piece.given}
                waiting[piece.assignment.incident_id] = open_ | missing
        return waiting


def _gold(incident_id: str, adjudicator: str, ruling: Ruling, annotations: Sequence[Annotation]) -> Annotation:
    settles = tuple(each.id for each in opinions(annotations) if each.facet == ruling.facet and each.id is not None)
    if not settles:
        raise InvalidInput(
            f"Nobody has labelled {ruling.facet!r} of {incident_id!r}: there is nothing to settle.",
            field="facet",
            facet=ruling.facet,
        )
    return Annotation(
        incident_id=incident_id,
        facet=ruling.facet,
        labels=ruling.labels,
        annotator=adjudicator,
        note=ruling.note,
        is_gold=True,
        settles=settles,
    )
