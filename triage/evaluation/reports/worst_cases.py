"""Cases in full, the surest mistakes first: the answers, their sources, and the text with its evidence marked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from triage.domain.taxonomy import Facet
from triage.evaluation.datasets import Case
from triage.evaluation.journal import CaseRecord, NeighbourRecord
from triage.redaction import Redacted, Redactor

SHOWN = 20
_CHARACTERS = 6_000

SOURCES = {
    "model": "the chat model",
    "prior": "the model shown an empty write-up",
    "neighbours": "the neighbours' labels",
    "definitions": "likeness to the definitions",
    "words": "classifier on the words",
    "embedding": "classifier on the embedding",
}


class Piece(NamedTuple):
    """A stretch of the write-up, and the ids of the facets that it is evidence for."""

    text: str
    facets: tuple[str, ...] = ()


class Heading(NamedTuple):
    """The redacted title of a case and its URL."""

    title: str
    url: str


class WriteUp(NamedTuple):
    """A redacted text in pieces, and the number of characters cut off its end."""

    pieces: tuple[Piece, ...]
    cut: int


class Source(NamedTuple):
    """One source: its first choice, and its probability of each label in question."""

    name: str
    meaning: str
    first: str
    probabilities: tuple[float | None, ...]
    led: str


class Answer(NamedTuple):
    """The answer on one facet of a case. `labels` are those in question: the predicted ones, then the gold ones.

    `confidence` is the highest probability stated for something wrong; None if nothing is wrong or was stated.
    """

    facet: Facet
    is_wrong: bool
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    labels: tuple[str, ...]
    decided: tuple[float | None, ...]
    confidence: float | None
    sources: tuple[Source, ...]
    has_primary_among_others: bool


class ToldCase(NamedTuple):
    """A case with its mistakes, the surest first, or with all its answers."""

    anchor: str
    record: CaseRecord
    answers: tuple[Answer, ...]

    @property
    def neighbours(self) -> tuple[NeighbourRecord, ...]:
        """The nearest first."""
        return tuple(sorted(self.record.neighbours, key=lambda one: -one.similarity))


def worst_cases(records: Iterable[CaseRecord], facets: Sequence[Facet]) -> list[ToldCase]:
    """All cases with a wrong label, the most probable one first. An abstention is not a mistake."""
    found = []
    for record in records:
        answers = [_answer(record, facet) for facet in facets if _is_wrong(record, facet)]
        if answers:
            answers.sort(key=_confidence, reverse=True)
            found.append((record, tuple(answers)))
    found.sort(key=lambda one: _confidence(one[1][0]), reverse=True)
    return [ToldCase(f"worst-{n}", record, answers) for n, (record, answers) in enumerate(found, start=1)]


def told_case(record: CaseRecord, facets: Sequence[Facet]) -> ToldCase:
    """A case with its answer on each facet that it has a gold label for, right or wrong."""
    labelled = [facet for facet in facets if record.status == "done" and record.gold.get(facet.id)]
    return ToldCase("case", record, tuple(_answer(record, facet) for facet in labelled))


def _confidence(answer: Answer) -> float:
    return -1.0 if answer.confidence is None else answer.confidence


def _is_wrong(record: CaseRecord, facet: Facet) -> bool:
    gold, predicted = record.gold.get(facet.id, ()), record.predicted.get(facet.id, ())
    if record.status != "done" or not gold or not predicted:
        return False
    return set(gold) != set(predicted) if facet.cardinality == "multi" else gold[0] != predicted[0]


def _answer(record: CaseRecord, facet: Facet) -> Answer:
    gold, predicted = record.gold[facet.id], record.predicted.get(facet.id, ())
    stated, is_wrong = record.distributions.get(facet.id, {}), _is_wrong(record, facet)
    confidence = None
    if is_wrong and facet.cardinality == "multi":
        sure = [stated[label] for label in predicted if label not in gold and label in stated]
        sure += [1 - stated[label] for label in gold if label not in predicted and label in stated]
        confidence = max(sure, default=None)
    elif is_wrong:
        confidence = stated.get(predicted[0])
    labels = tuple(dict.fromkeys((*predicted, *gold)))
    return Answer(
        facet=facet,
        is_wrong=is_wrong,
        gold=gold,
        predicted=predicted,
        labels=labels,
        decided=tuple(stated.get(label) for label in labels),
        confidence=confidence,
        sources=tuple(_sources(record, facet, labels)),
        has_primary_among_others=is_wrong and facet.cardinality != "multi" and gold[0] in predicted,
    )


def _sources(record: CaseRecord, facet: Facet, labels: Sequence[str]) -> Iterable[Source]:
    for name, distribution in record.sources.get(facet.id, {}).items():
        first = max(distribution, key=lambda label: distribution[label], default="")
        led = "" if not distribution or name == "prior" else _led(first, record, facet)
        yield Source(name, SOURCES.get(name, name), first, tuple(distribution.get(label) for label in labels), led)


def _led(first: str, record: CaseRecord, facet: Facet) -> str:
    gold, predicted = record.gold[facet.id], record.predicted.get(facet.id, ())
    if facet.cardinality != "multi":
        gold, predicted = gold[:1], predicted[:1]
    if first in gold:
        return "spoke for the gold label"
    return "led to the mistake" if first in predicted else "spoke for another label"


class WriteUps:
    """The redacted texts of the cases, with the evidence marked."""

    def __init__(self, cases: Mapping[str, Case], redactor: Redactor | None = None) -> None:
        self._cases = cases
        self._redactor = redactor or Redactor()
        self._redacted: dict[str, Redacted] = {}

    def heading(self, case_id: str) -> Heading:
        """The title and link of a case; both empty for an unknown case."""
        case = self._cases.get(case_id)
        if case is None:
            return Heading("", "")
        # Redact the title within the whole text: a secret may be recognisable in the write-up only.
        redacted = self._redact(case)
        _, end = redacted.redacted_span(0, len(case.incident.title))
        url = case.incident.url
        is_link = url.startswith(("https://", "http://")) and not self._redactor.redact(url).counts
        return Heading(redacted.text[:end], url if is_link else "")

    def of(self, case_id: str, spans: Mapping[str, Sequence[tuple[int, int]]] | None = None) -> WriteUp | None:
        """The text of a case; `spans` maps facets to offsets in `Incident.text`. None for an unknown case."""
        case = self._cases.get(case_id)
        if case is None:
            return None
        redacted = self._redact(case)
        marked = [
            (*redacted.redacted_span(start, end), facet)
            for facet, places in (spans or {}).items()
            for start, end in places
            if 0 <= start < end <= len(case.incident.text)
        ]
        shown = redacted.text[:_CHARACTERS]
        return WriteUp(tuple(_pieces(shown, marked)), len(redacted.text) - len(shown))

    def _redact(self, case: Case) -> Redacted:
        if case.id not in self._redacted:
            self._redacted[case.id] = self._redactor.redact(case.incident.text)
        return self._redacted[case.id]


def _pieces(text: str, marked: Sequence[tuple[int, int, str]]) -> Iterable[Piece]:
    """`text` split wherever evidence begins or ends."""
    edges = sorted({0, len(text), *(min(edge, len(text)) for start, end, _ in marked for edge in (start, end))})
    for start, end in itertools.pairwise(edges):
        facets = dict.fromkeys(facet for first, last, facet in marked if first <= start and end <= last)
        yield Piece(text[start:end], tuple(facets))
