"""Labelling: the assigned incidents of an annotator, and their answers.

Annotators see neither each other's labels nor the model's, unless the assignment allows the model's. The service
records what was shown, so every label says whether its annotator had seen the model's.
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
    """An annotator's labels of one facet. The first is the primary one; the note gives the reason.

    No labels say that the write-up doesn't tell; None is no answer yet.
    """

    labels: tuple[str, ...] | None
    note: str = ""


class WorkItem(NamedTuple):
    """An assignment and the annotator's labels so far, by facet."""

    assignment: Assignment
    given: dict[str, Annotation]

    @property
    def labels(self) -> Labels:
        return {facet: annotation.labels for facet, annotation in self.given.items()}

    def answer(self, facet_id: str) -> Answer:
        """The answer for a facet so far."""
        annotation = self.given.get(facet_id)
        return Answer(None) if annotation is None else Answer(annotation.labels, annotation.note)

    def drafted(self, draft: Mapping[str, Answer]) -> WorkItem:
        """The work item as it would be after these answers."""
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
            if answer.labels is not None
        }
        return self._replace(given=given)

    def facets(self, taxonomy: Taxonomy) -> list[Facet]:
        """The assigned facets that the taxonomy still has, each after its parent."""
        return [facet for facet in taxonomy.facets if facet.id in self.assignment.facets]

    def offered(self, facet: Facet) -> list[Label]:
        """The labels to choose from: those under the annotator's own parent label if the parent is assigned too."""
        if facet.parent is None or facet.parent not in self.assignment.facets:
            return list(facet.labels)
        return facet.children(self.labels.get(facet.parent, ()))

    def open_facets(self, taxonomy: Taxonomy) -> list[Facet]:
        """The facets without a valid answer. A new parent label reopens a child facet whose label does not fit under
        it.

        A child of an open facet is not open yet, and one without labels under the chosen parent never is.
        """
        return [facet for facet in self.facets(taxonomy) if self.offered(facet) and not self._is_answered(facet)]

    def _is_answered(self, facet: Facet) -> bool:
        labels = self.labels.get(facet.id)
        if labels:
            return set(labels) <= {label.id for label in self.offered(facet)}
        return labels is not None and not self.labels.get(facet.parent or "")


class FacetQuestion(NamedTuple):
    """A facet to answer, with the labels to choose from, the annotator's answer so far, and whether it is open."""

    facet: Facet
    labels: tuple[Label, ...]
    given: Answer
    is_open: bool


class Task(NamedTuple):
    """An incident as the annotator sees it. `model` holds the model's labels, None if they are hidden."""

    item: WorkItem
    incident: Incident
    model: Labels | None

    def sheet(self, taxonomy: Taxonomy, draft: Mapping[str, Answer] | None = None) -> list[FacetQuestion]:
        """All questions of the incident; with a `draft`, as they would be after these answers."""
        piece = self.item if draft is None else self.item.drafted(draft)
        waiting = piece.open_facets(taxonomy)
        return [
            FacetQuestion(facet, tuple(piece.offered(facet)), piece.answer(facet.id), is_open=facet in waiting)
            for facet in piece.facets(taxonomy)
        ]


class Progress(NamedTuple):
    """The number of incidents assigned to an annotator, and how many are fully labelled."""

    assigned: int
    done: int


class Labelling:
    """Serves assigned incidents to annotators and saves their answers."""

    def __init__(self, store: Store, taxonomy: Taxonomy) -> None:
        self.taxonomy = taxonomy
        self._store = store

    async def work(self, annotator: str, teams: Collection[str] | None = None) -> list[WorkItem]:
        """All work items of the annotator in assignment order; `teams` limits them to these teams.

        Raises `NotFound` if nothing is assigned.
        """
        assignments = await self._store.assignments.list(annotator, teams)
        if not assignments:
            others = sorted({each.annotator for each in await self._store.assignments.list(teams=teams)})
            assigned = f" Annotators with assignments: {', '.join(others)}." if others else ""
            raise NotFound(
                f"Nothing is assigned to {annotator!r}.{assigned} Assign incidents with: "
                f"triage annotate assign --annotators {annotator},... ",
                annotator=annotator,
            )
        by_incident = await self._store.annotations.list_many([each.incident_id for each in assignments], annotator)
        return [WorkItem(each, labels_of(by_incident[each.incident_id], annotator)) for each in assignments]

    def progress(self, pieces: Sequence[WorkItem]) -> Progress:
        return Progress(len(pieces), sum(not piece.open_facets(self.taxonomy) for piece in pieces))

    async def next(
        self, annotator: str, skip: Collection[str] = (), teams: Collection[str] | None = None
    ) -> tuple[Task | None, Progress]:
        """The first open incident of the annotator, served to them; incidents in `skip` come last.

        The task is None if all are done. `teams` limits it to incidents of these teams. Raises `NotFound` if nothing is
        assigned.
        """
        pieces = await self.work(annotator, teams)
        waiting = [piece for piece in pieces if piece.open_facets(self.taxonomy)]
        waiting.sort(key=lambda piece: piece.assignment.incident_id in skip)
        return (await self.serve(waiting[0]) if waiting else None), self.progress(pieces)

    async def serve(self, piece: WorkItem) -> Task:
        """Show an incident to its annotator, and record that it was shown and whether with the model's labels."""
        assignment = piece.assignment
        stored = await self._store.incidents.get(assignment.incident_id)
        triage = await self._store.triages.find(assignment.incident_id) if assignment.shows_model else None
        model = None
        if triage is not None:
            facet_ids = {facet.id for facet in piece.facets(self.taxonomy)}
            model = {facet: result.labels for facet, result in triage.facets.items() if facet in facet_ids}
        await self._store.assignments.record_serving(
            assignment.incident_id, assignment.annotator, showed_model=model is not None
        )
        return Task(piece, stored.incident, model)

    async def give_all(self, piece: WorkItem, answers: Mapping[str, Answer]) -> WorkItem:
        """Save the labels of several facets, all or none, and return the updated work item.

        Where a facet is not told, the facets below are not told either. Raises `InvalidInput` for labels that are not
        offered, or do not fit together.
        """
        annotations, after = [], piece
        untold = [facet for facet, answer in answers.items() if answer.labels == ()]
        below = {facet.id: Answer(()) for parent in untold for facet in self.taxonomy.refining(parent)}
        answers = {**answers, **below}
        for facet in (each for each in self.taxonomy.facets if each.id in answers):
            annotation = self._checked(after, facet, answers[facet.id])
            annotations.append(annotation)
            after = after._replace(given=after.given | {facet.id: annotation})
        recorded = await self._store.record(annotations, is_interactive=True)
        return piece._replace(given=piece.given | {each.facet: each for each in recorded.annotations})

    async def waiting(
        self, annotator: str, incident_ids: Collection[str] | None = None, *, blind: bool = False
    ) -> dict[str, set[str]]:
        """Incident -> assigned facets that the annotator still has to label, for all incidents or these.

        With `blind`, only incidents whose model labels the annotator may not see before, and has not seen yet.
        """
        shown = await self._store.assignments.list_shown(annotator) if blind else set()
        ids = None if incident_ids is None else set(incident_ids)
        assignments = [
            each
            for each in await self._store.assignments.list(annotator)
            if (ids is None or each.incident_id in ids)
            and not (blind and (each.shows_model or each.incident_id in shown))
        ]
        annotations = await self._store.annotations.list_many([each.incident_id for each in assignments], annotator)
        pieces = [WorkItem(each, labels_of(annotations[each.incident_id], annotator)) for each in assignments]
        waiting = {}
        for piece in pieces:
            # A child facet waits for its parent.
            if open_ := {facet.id for facet in piece.open_facets(self.taxonomy)}:
                missing = {facet for facet in piece.assignment.facets if facet not in piece.given}
                waiting[piece.assignment.incident_id] = open_ | missing
        return waiting

    def _checked(self, piece: WorkItem, facet: Facet, answer: Answer) -> Annotation:
        ids = self.taxonomy.canonical_answer(facet.id, answer.labels or ())
        offered = [label.id for label in piece.offered(facet)]
        if not set(ids) <= set(offered):
            raise InvalidInput(
                f"{', '.join(ids)} of facet {facet.id!r} does not fit your label of {facet.parent!r}. Choose from: "
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


def next_open(pieces: Sequence[WorkItem], taxonomy: Taxonomy, after: str | None = None) -> WorkItem | None:
    """The next open work item after the incident `after` in assignment order, wrapping around; None if all are done."""
    ids = [piece.assignment.incident_id for piece in pieces]
    start = ids.index(after) + 1 if after in ids else 0
    return next((piece for piece in (*pieces[start:], *pieces[:start]) if piece.open_facets(taxonomy)), None)


def labels_of(annotations: Sequence[Annotation], annotator: str) -> dict[str, Annotation]:
    """One annotator's latest annotation of each facet of an incident, without adjudications."""
    return {
        each.facet: each for each in standing(annotations) if each.annotator == annotator and not each.is_adjudication
    }
