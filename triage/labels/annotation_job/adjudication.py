"""Adjudication: someone settles what annotators disagree on; the gold label keeps what it was made from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from pydantic import BaseModel

from triage.domain.annotation import Annotation
from triage.domain.errors import Conflict, InvalidInput
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Label
from triage.history.casebook import Casebook
from triage.labels.annotation_job.disagreement import (
    Disagreement,
    Verdict,
    agreed,
    disagreements,
    opinions,
    parent_labels,
    verdict_on,
    verdicts,
)
from triage.labels.annotation_job.labelling import Labelling
from triage.observability.progress import Progress, silent
from triage.store import Labelled, Store
from triage.store.cursor import read_cursor, write_cursor

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


class Dispute(NamedTuple):
    """What is to be settled of one facet: who said what, and the labels that can be gold for it.

    `above` tells the facet that it refines, if any, with the names of its settled labels. `settled` is an earlier
    adjudication, and `as_of` how far the incident's annotations had got.
    """

    incident: Incident
    facet: Facet
    labels: tuple[Label, ...]
    said: tuple[Annotation, ...]
    settled: Annotation | None
    above: str
    as_of: Labelled


class Ruling(NamedTuple):
    """What an adjudicator decides of one facet. The first label is the primary; the note says why."""

    facet: str
    labels: tuple[str, ...]
    note: str = ""


class Accepted(NamedTuple):
    """What `accept_agreed` made gold: how many facets of how many incidents; and what could not be, with the reason.

    `is_cut_off` if it ended before all were looked at.
    """

    facets: int
    incidents: int
    left_out: list[str]
    is_cut_off: bool = False


class Adjudication:
    """The adjudication of everything that is labelled."""

    def __init__(self, casebook: Casebook, store: Store) -> None:
        self.taxonomy = casebook.taxonomy
        self._casebook = casebook
        self._store = store
        self._labelling = Labelling(store, casebook.taxonomy)

    async def page(
        self,
        limit: int,
        cursor: str | None = None,
        adjudicator: str | None = None,
        teams: Collection[str] | None = None,
        most: int | None = None,
    ) -> DisputedPage:
        """Incidents with open disagreements; for an `adjudicator` without those that they are still to label.

        With `teams` only those of these teams. With `most` it ends after looking at about so many of those on which
        people ever disagreed: a page with fewer than `limit` then has a cursor, from which to look on.
        """
        before = None if cursor is None else read_cursor(cursor)
        found: list[tuple[int, str, list[Disagreement]]] = []
        looked_at, is_end = 0, False
        while len(found) <= limit and not is_end and (most is None or looked_at < most):
            chunk = await self._store.annotations.list_labelled(
                2, before=before, limit=_CHUNK, teams=teams, differing=True
            )
            looked_at, is_end = looked_at + len(chunk), len(chunk) < _CHUNK
            blind = await self._blind(adjudicator, [incident_id for _, incident_id in chunk])
            annotations = await self._store.annotations.list_many([incident_id for _, incident_id in chunk])
            for seq, incident_id in chunk:
                if incident_id not in blind and (open_ := disagreements(annotations[incident_id], self.taxonomy)):
                    found.append((seq, incident_id, open_))
            before = chunk[-1][0] if chunk else before
        shown = found[:limit]
        last = shown[-1][0] if len(found) > limit else None if is_end else before
        stored = await self._store.incidents.find_many([incident_id for _, incident_id, _ in shown])
        return DisputedPage(
            incidents=tuple(
                Disputed(incident_id=key, title=stored[key].incident.title, disagreements=tuple(open_))
                for _, key, open_ in shown
            ),
            next_cursor=None if last is None else write_cursor(last),
        )

    async def dispute(
        self, incident_id: str, facet_id: str | None = None, adjudicator: str | None = None
    ) -> Dispute | None:
        """What is to be settled of an incident: its first open disagreement, or that on a facet, also if it is settled.

        None if there is none. Raises `NotFound`, and `Conflict` if the adjudicator has still to label the facet.
        """
        incident = (await self._store.incidents.get(incident_id)).incident
        annotations = await self._store.annotations.list(incident_id)
        if facet_id is None:
            open_ = next(iter(disagreements(annotations, self.taxonomy)), None)
        else:
            said = tuple(each for each in opinions(annotations) if each.facet == facet_id)
            verdict = verdict_on(facet_id, annotations)
            open_ = Disagreement(incident_id=incident_id, facet=facet_id, annotations=said, settled=verdict)
        if open_ is None or not open_.annotations:
            return None
        facet = self.taxonomy.facet(open_.facet)
        if facet.id in (await self._blind(adjudicator, [incident_id])).get(incident_id, ()):
            raise _still_to_label(str(adjudicator), incident_id, facet.id)
        parents = parent_labels(facet, annotations, self.taxonomy)
        labels = facet.labels if parents is None else tuple(facet.children(parents))
        as_of = Labelled(len(annotations), annotations[-1].id or 0)
        above = self._above(facet, parents or ())
        return Dispute(incident, facet, labels, open_.annotations, open_.settled, above, as_of)

    async def settle(
        self, incident_id: str, adjudicator: str, rulings: Sequence[Ruling], expected: Labelled | None = None
    ) -> list[Annotation]:
        """Make gold labels out of what annotators said, all or none; each settles all that was said of its facet.

        Settling a facet also accepts what all say of the facet that it refines. Raises `NotFound`, `Conflict` if the
        adjudicator has still to label the facet themselves, `InvalidInput` for what nobody labelled or what does not
        fit together, and `Outdated` if the incident's annotations have got further than `expected`.
        """
        await self._store.incidents.get(incident_id)
        annotations = await self._store.annotations.list(incident_id)
        waiting = await self._blind(adjudicator, [incident_id])
        decided = {ruling.facet: ruling for ruling in rulings}
        for ruling in rulings:
            facet = self.taxonomy.facet(ruling.facet)
            if facet.id in waiting.get(incident_id, ()):
                raise _still_to_label(adjudicator, incident_id, facet.id)
            if facet.parent is not None and facet.parent not in decided:
                parents = parent_labels(facet, annotations, self.taxonomy)
                if parents is not None and verdict_on(facet.parent, annotations) is None:
                    decided[facet.parent] = Ruling(facet.parent, parents)
        return await self._casebook.annotate(
            incident_id, [_gold(incident_id, adjudicator, each, annotations) for each in decided.values()], expected
        )

    async def accept_agreed(
        self,
        adjudicator: str,
        progress: Progress = silent,
        teams: Collection[str] | None = None,
        most: int | None = None,
    ) -> Accepted:
        """Make gold whatever at least two people agree on. What would not fit its parent label is left out.

        With `teams` only that of incidents of these teams, and with `most` that of so many incidents at most.
        """
        ids = [incident_id for _, incident_id in await self._store.annotations.list_labelled(2, teams=teams)]
        facets, incidents, left_out = 0, 0, list[str]()
        for done, incident_id in enumerate(ids, start=1):
            if incidents == most:
                return Accepted(facets, incidents, left_out, is_cut_off=True)
            annotations = await self._store.annotations.list(incident_id)
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
            progress("Accepting what all agree on", done, len(ids))
        return Accepted(facets, incidents, left_out)

    async def history(self, incident_id: str) -> list[Verdict]:
        """Every adjudication of an incident, oldest first, with what it was made from. Raises `NotFound`."""
        await self._store.incidents.get(incident_id)
        return verdicts(await self._store.annotations.list(incident_id))

    def _check(self, facet_id: str, labels: Sequence[str], parents: Sequence[str] | None) -> None:
        facet = self.taxonomy.facet(facet_id)
        if parents is not None:
            self.taxonomy.validate_labels({str(facet.parent): tuple(parents), facet_id: tuple(labels)})

    def _above(self, facet: Facet, parents: Sequence[str]) -> str:
        if facet.parent is None or not parents:
            return ""
        parent = self.taxonomy.facet(facet.parent)
        return f"{parent.name}: {', '.join(parent.label(label).name for label in parents)}"

    async def _blind(self, adjudicator: str | None, incident_ids: Sequence[str]) -> dict[str, set[str]]:
        return {} if adjudicator is None else await self._labelling.waiting(adjudicator, incident_ids)


def _still_to_label(adjudicator: str, incident_id: str, facet_id: str) -> Conflict:
    return Conflict(
        f"{adjudicator!r} has still to label {facet_id!r} of {incident_id!r} without seeing the others: "
        "label it first, or let someone else settle it.",
        incident_id=incident_id,
        facet=facet_id,
    )


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
