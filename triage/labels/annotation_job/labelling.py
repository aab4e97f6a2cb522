"""Labelling: what is put before an annotator, and what they say.

An annotator is shown neither the others' labels nor the model's, unless their assignment allows the model's. What was
shown is kept, so that every label tells whether its annotator had seen the model's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from triage.domain.annotation import Annotation, Assignment, Labels, standing
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Label, Taxonomy
from triage.store import Store


class Answer(NamedTuple):
    """What an annotator says of one facet. The first label is the primary; the note says why."""

    labels: tuple[str, ...]
    note: str = ""


class Piece(NamedTuple):
    """A piece of work: an assignment, and what its annotator said so far, by facet."""

    assignment: Assignment
    given: dict[str, Annotation]

    @property
    def labels(self) -> Labels:
        """The labels given so far."""
        return {facet: annotation.labels for facet, annotation in self.given.items()}

    def answer(self, facet_id: str) -> Answer:
        """What was said of a facet so far; without labels where nothing was."""
        said = self.given.get(facet_id)
        return Answer(()) if said is None else Answer(said.labels, said.note)

    def drafted(self, draft: Mapping[str, Answer]) -> Piece:
        """The piece as it would be after these answers. What has none in the draft counts as not said."""
        mine = self.assignment
        given = {
            facet: Annotation(
                incident_id=mine.incident_id,
                facet=facet,
                labels=answer.labels,
                annotator=mine.annotator,
                note=answer.note,
            )
            for facet, answer in draft.items()
            if answer.labels
        }
        return self._replace(given=given)

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


class Asked(NamedTuple):
    """A question of a piece of work, with the labels that can answer it.

    `given` is what the annotator themselves said so far, and `is_open` says whether it waits for an answer.
    """

    facet: Facet
    labels: tuple[Label, ...]
    given: Answer
    is_open: bool


class Task(NamedTuple):
    """An incident as it is put before an annotator. `model` are the model's labels, None where they are not shown."""

    piece: Piece
    incident: Incident
    model: Labels | None

    def sheet(self, taxonomy: Taxonomy, draft: Mapping[str, Answer] | None = None) -> list[Asked]:
        """All questions of the incident at once; with a `draft` as they would be after these answers."""
        piece = self.piece if draft is None else self.piece.drafted(draft)
        waiting = piece.open_facets(taxonomy)
        return [
            Asked(facet, tuple(piece.offered(facet)), piece.answer(facet.id), is_open=facet in waiting)
            for facet in piece.facets(taxonomy)
        ]


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
        assignments = await self._store.assignments.list(annotator, teams)
        if not assignments:
            others = sorted({each.annotator for each in await self._store.assignments.list(teams=teams)})
            there = f"There are assignments for: {', '.join(others)}. Give" if others else "Give"
            raise NotFound(
                f"Nothing is assigned to {annotator!r}. {there} them incidents with: "
                f"triage annotate assign --annotators {annotator},... ",
                annotator=annotator,
            )
        by_incident = await self._store.annotations.list_many([each.incident_id for each in assignments], annotator)
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
        stored = await self._store.incidents.get(assignment.incident_id)
        triage = await self._store.triages.find(assignment.incident_id) if assignment.shows_model else None
        model = None
        if triage is not None:
            asked = {facet.id for facet in piece.facets(self.taxonomy)}
            model = {facet: result.labels for facet, result in triage.facets.items() if facet in asked}
        await self._store.assignments.record_serving(
            assignment.incident_id, assignment.annotator, showed_model=model is not None
        )
        return Task(piece, stored.incident, model)

    async def give_all(self, piece: Piece, answers: Mapping[str, Answer]) -> Piece:
        """Keep the annotator's labels for several facets, all or none; returns the piece with them.

        Raises `InvalidInput` for labels that are not offered, or would not be with the others.
        """
        given, after = [], piece
        for facet in (each for each in self.taxonomy.facets if each.id in answers):
            annotation = self._checked(after, facet, answers[facet.id])
            given.append(annotation)
            after = after._replace(given=after.given | {facet.id: annotation})
        recorded = await self._store.record(given, is_interactive=True)
        return piece._replace(given=piece.given | {each.facet: each for each in recorded.annotations})

    async def waiting(
        self, annotator: str, incident_ids: Collection[str] | None = None, *, blind: bool = False
    ) -> dict[str, set[str]]:
        """Incident -> facets that are assigned to the annotator and that they have not labelled yet.

        Of all incidents, or of `incident_ids`; with `blind` only where they may not see the model's labels before, and
        have not seen them yet.
        """
        shown = await self._store.assignments.list_shown(annotator) if blind else set()
        wanted = None if incident_ids is None else set(incident_ids)
        mine = [
            each
            for each in await self._store.assignments.list(annotator)
            if (wanted is None or each.incident_id in wanted)
            and not (blind and (each.shows_model or each.incident_id in shown))
        ]
        annotations = await self._store.annotations.list_many([each.incident_id for each in mine], annotator)
        pieces = [Piece(each, own(annotations[each.incident_id], annotator)) for each in mine]
        waiting = {}
        for piece in pieces:
            # A child waits with its parent, though it is not asked for before.
            if open_ := {facet.id for facet in piece.open_facets(self.taxonomy)}:
                missing = {facet for facet in piece.assignment.facets if facet not in piece.given}
                waiting[piece.assignment.incident_id] = open_ | missing
        return waiting

    def _checked(self, piece: Piece, facet: Facet, answer: Answer) -> Annotation:
        ids = self.taxonomy.canonical(facet.id, answer.labels)
        offered = [label.id for label in piece.offered(facet)]
        if not set(ids) <= set(offered):
            raise InvalidInput(
                f"{', '.join(ids)} of facet {facet.id!r} does not fit what was said of {facet.parent!r}; there are: "
                f"{', '.join(offered)}.",
                field="labels",
                facet=facet.id,
            )
        return Annotation(
            incident_id=piece.assignment.incident_id,
            facet=facet.id,
            labels=ids,
            annotator=piece.assignment.annotator,
            note=answer.note,
        )


def following(pieces: Sequence[Piece], taxonomy: Taxonomy, after: str | None = None) -> Piece | None:
    """The next piece that is not done, in the order of the assignments: behind the incident `after`, else from the
    first one on; None if all are done."""
    ids = [piece.assignment.incident_id for piece in pieces]
    start = ids.index(after) + 1 if after in ids else 0
    return next((piece for piece in (*pieces[start:], *pieces[:start]) if piece.open_facets(taxonomy)), None)


def own(annotations: Sequence[Annotation], annotator: str) -> dict[str, Annotation]:
    """What one annotator said last of each facet, of one incident's annotations; their adjudications don't count."""
    return {
        each.facet: each for each in standing(annotations) if each.annotator == annotator and not each.is_adjudication
    }
