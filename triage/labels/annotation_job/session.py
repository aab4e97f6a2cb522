"""One annotator's sitting: question after question, each answer kept at once, with a way back."""

from __future__ import annotations

from typing import NamedTuple

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Label
from triage.labels.annotation_job.labelling import Labelling, Piece, Progress, Task


class Question(NamedTuple):
    """One facet of one incident. `given` is what the annotator said before, `model` what the model says if shown.

    `number` counts the facets of the incident from 1, `of` says how many there are.
    """

    incident: Incident
    facet: Facet
    labels: tuple[Label, ...]
    given: Annotation | None
    model: tuple[str, ...] | None
    number: int
    of: int


class Session:
    """Leads through the incidents that are not done, in their order; skipped ones come again at the end."""

    def __init__(self, labelling: Labelling, pieces: list[Piece]) -> None:
        self.taxonomy = labelling.taxonomy
        self._labelling = labelling
        self._pieces = pieces
        self._waiting = [n for n, piece in enumerate(pieces) if piece.open_facets(self.taxonomy)]
        self._answered: list[tuple[int, str]] = []
        self._revisited: str | None = None
        self._task: tuple[int, Task] | None = None

    @classmethod
    async def open(cls, labelling: Labelling, annotator: str) -> Session:
        """The sitting of an annotator. Raises `NotFound` if nothing is assigned to them."""
        return cls(labelling, await labelling.work(annotator))

    @property
    def progress(self) -> Progress:
        """How many incidents there are, and how many are done."""
        return self._labelling.progress(self._pieces)

    async def question(self) -> Question | None:
        """What is to be answered now; None if all is done. Its incident counts as shown from here on."""
        # One that was done, to which somebody went back and then left it as it was, waits for nothing.
        while self._waiting and self._revisited is None and not self._first.open_facets(self.taxonomy):
            self._waiting.pop(0)
        if not self._waiting:
            return None
        number = self._waiting[0]
        if self._task is None or self._task[0] != number:
            self._task = number, await self._labelling.serve(self._pieces[number])
        task, piece = self._task[1], self._pieces[number]
        facets = piece.facets(self.taxonomy)
        waiting = piece.open_facets(self.taxonomy)
        facet = next((each for each in facets if each.id == self._revisited), None) or waiting[0]
        return Question(
            incident=task.incident,
            facet=facet,
            labels=tuple(piece.offered(facet)),
            given=piece.given.get(facet.id),
            model=None if task.model is None else task.model.get(facet.id, ()),
            number=facets.index(facet) + 1,
            of=len(facets),
        )

    async def answer(self, labels: tuple[str, ...], note: str = "") -> None:
        """Keep the answer to the question at hand, and go on."""
        question = await self.question()
        if question is None:
            return
        number = self._waiting[0]
        self._pieces[number] = await self._labelling.give(self._pieces[number], question.facet.id, labels, note)
        self._answered.append((number, question.facet.id))
        self._revisited = None
        if not self._pieces[number].open_facets(self.taxonomy):
            self._waiting.pop(0)

    def skip(self) -> bool:
        """Leave the incident at hand for later. False if there is no other."""
        self._revisited = None
        if len(self._waiting) < 2:
            return False
        self._waiting.append(self._waiting.pop(0))
        return True

    def back(self) -> bool:
        """Return to the question that was answered before. False if none was in this sitting."""
        if not self._answered:
            return False
        number, self._revisited = self._answered.pop()
        self._waiting = [number, *(each for each in self._waiting if each != number)]
        return True

    @property
    def _first(self) -> Piece:
        return self._pieces[self._waiting[0]]
