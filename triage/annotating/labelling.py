"""Labelling: what is put before an annotator, and what they say.

An annotator is shown neither the others' labels nor the model's, unless their assignment allows the model's. What was
shown is kept, so that every label tells whether its annotator had seen the model's.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from triage.annotation import Annotation, Assignment, Labels, standing
from triage.errors import InvalidInput, NotFound
from triage.incident import Incident
from triage.store import Store
from triage.taxonomy import Facet, Label, Taxonomy


class Piece(NamedTuple):
    """A piece of work: an assignment, and what its annotator said so far, by facet."""

    assignment: Assignment
    given: dict[str, Annotation]

    @property
    def labels(self) -> Labels:
        """The labels given so far."""
        return {facet: annotation.labels for facet, annotation in self.given.items()}

    def facets(self, taxonomy: Taxonomy) -> list[Facet]:
        """The facets asked for, each after the one it refines. Those that the taxonomy no longer has are left out."""
        return [facet for facet in taxonomy.facets if facet.id in self.assignment.facets]

    def offered(self, facet: Facet) -> list[Label]:
        """The labels that can answer: those under the annotator's own parent label, where the parent is asked too."""
        if facet.parent is None or facet.parent not in self.assignment.facets:
            return list(facet.labels)
        return facet.children(self.labels.get(facet.parent, ()))

    def open_facets(self, taxonomy: Taxonomy) -> list[Facet]:
        """The facets that wait for an answer: a new parent label asks anew for a child that does not belong under it.

        A facet that refines an open one is not open yet, and one without a label under the chosen parent never is.
        """
        waiting = []
        for facet in self.facets(taxonomy):
            ids = {label.id for label in self.offered(facet)}
            said = set(self.labels.get(facet.id, ()))
            if ids and not (said and said <= ids):
                waiting.append(facet)
        return waiting


class Task(NamedTuple):
    """An incident as it is put before an annotator. `model` are the model's labels, None where they are not shown."""

    piece: Piece
    incident: Incident
    model: Labels | None


class Progress(NamedTuple):
    """How many incidents are assigned to an annotator, and how many of them they have labelled in full."""

    assigned: int
    done: int


class Labelling:
    """The labelling of all annotators."""

    def __init__(self, store: Store, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._store = store

    async def work(self, annotator: str, teams: Collection[str] | None = None) -> list[Piece]:
        """All that is assigned to the annotator (with `teams`, of these teams), in its order.

        Raises `NotFound` where nothing is.
        """
        assignments = await self._store.assignments.all(annotator, teams)
        if not assignments:
            others = sorted({each.annotator for each in await self._store.assignments.all(teams=teams)})
            there = f"There are assignments for: {', '.join(others)}. Give" if others else "Give"
            raise NotFound(
                f"Nothing is assigned to {annotator!r}. {there} them incidents with: "
                f"triage annotate assign --annotators {annotator},... ",
                annotator=annotator,
            )
        by_incident = await self._store.annotations_of([each.incident_id for each in assignments])
        return [Piece(each, own(by_incident[each.incident_id], annotator)) for each in assignments]

    def progress(self, pieces: Sequence[Piece]) -> Progress:
        """How far `pieces` are."""
        return Progress(len(pieces), sum(not piece.open_facets(self.taxonomy) for piece in pieces))

    async def next(
        self, annotator: str, skip: Collection[str] = (), teams: Collection[str] | None = None
    ) -> tuple[Task | None, Progress]:
        """The first incident that the annotator has not done, put before them; those in `skip` only if no other is.

        None if all are done. Raises `NotFound` where nothing is assigned to them. With `teams` only incidents of these
        teams are given and counted.
        """
        pieces = await self.work(annotator, teams)
        waiting = [piece for piece in pieces if piece.open_facets(self.taxonomy)]
        waiting.sort(key=lambda piece: piece.assignment.incident_id in skip)
        return (await self.serve(waiting[0]) if waiting else None), self.progress(pieces)

    async def serve(self, piece: Piece) -> Task:
        """Put an incident before its annotator, and keep that it was, and whether with the model's labels."""
        assignment = piece.assignment
        stored = await self._store.incident(assignment.incident_id)
        triage = await self._store.triage(assignment.incident_id) if assignment.shows_model else None
        model = None
        if triage is not None:
            asked = {facet.id for facet in piece.facets(self.taxonomy)}
            model = {facet: result.labels for facet, result in triage.facets.items() if facet in asked}
        await self._store.assignments.serve(
            assignment.incident_id, assignment.annotator, showed_model=model is not None
        )
        return Task(piece, stored.incident, model)

    async def give(self, piece: Piece, facet_id: str, labels: Sequence[str], note: str = "") -> Piece:
        """Keep the annotator's labels for one facet; returns the piece with them. The first is the primary.

        Raises `InvalidInput` for labels that are not offered.
        """
        facet = self.taxonomy.facet(facet_id)
        ids = self.taxonomy.canonical(facet_id, labels)
        offered = [label.id for label in piece.offered(facet)]
        if not set(ids) <= set(offered):
            raise InvalidInput(
                f"{', '.join(ids)} of facet {facet_id!r} does not fit what was said of {facet.parent!r}; there are: "
                f"{', '.join(offered)}.",
                field="labels",
                facet=facet_id,
            )
        annotation = Annotation(
            incident_id=piece.assignment.incident_id,
            facet=facet_id,
            labels=ids,
            annotator=piece.assignment.annotator,
            note=note,
        )
        kept = (await self._store.record([annotation], is_given_here=True))[0]
        return piece._replace(given=piece.given | {facet_id: kept})


def own(annotations: Sequence[Annotation], annotator: str) -> dict[str, Annotation]:
    """What one annotator said last of each facet, of one incident's annotations; their adjudications don't count."""
    return {
        each.facet: each for each in standing(annotations) if each.annotator == annotator and not each.is_adjudication
    }
