"""The mistakes that were made with most confidence: what was said, why, and the text with its evidence marked."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from triage.evaluation.cases import Case
from triage.evaluation.journal import CaseRecord, NeighbourRecord
from triage.redaction import Redacted, Redactor
from triage.taxonomy import Facet

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
    """The redacted title of a case, and where it was published."""

    title: str
    url: str


class WriteUp(NamedTuple):
    """A redacted text: the pieces that it is made of, and how many characters were cut off its end."""

    pieces: tuple[Piece, ...]
    cut: int


class Source(NamedTuple):
    """What one source said: its own first choice, and the probability it gave to each label in question."""

    name: str
    meaning: str
    first: str
    probabilities: tuple[float | None, ...]
    led: str


class Mistake(NamedTuple):
    """A facet on which the case is wrong. `labels` are those in question: the predicted ones, then the gold ones."""

    facet: Facet
    gold: tuple[str, ...]
    predicted: tuple[str, ...]
    labels: tuple[str, ...]
    decided: tuple[float | None, ...]
    confidence: float | None
    sources: tuple[Source, ...]
    has_primary_among_others: bool


class WorstCase(NamedTuple):
    """A case with its mistakes, the surest first."""

    anchor: str
    record: CaseRecord
    mistakes: tuple[Mistake, ...]

    @property
    def neighbours(self) -> tuple[NeighbourRecord, ...]:
        """The nearest first."""
        return tuple(sorted(self.record.neighbours, key=lambda one: -one.similarity))


def worst_cases(records: Iterable[CaseRecord], facets: Sequence[Facet]) -> list[WorstCase]:
    """All cases with a wrong label, those first whose wrong label was most probable; an abstention is no mistake."""
    found = []
    for record in records:
        mistakes = [mistake for facet in facets if (mistake := _mistake(record, facet))]
        if mistakes:
            mistakes.sort(key=_confidence, reverse=True)
            found.append((record, tuple(mistakes)))
    found.sort(key=lambda one: _confidence(one[1][0]), reverse=True)
    return [WorstCase(f"worst-{n}", record, mistakes) for n, (record, mistakes) in enumerate(found, start=1)]


def _confidence(mistake: Mistake) -> float:
    return -1.0 if mistake.confidence is None else mistake.confidence


def _mistake(record: CaseRecord, facet: Facet) -> Mistake | None:
    gold, predicted = record.gold.get(facet.id, ()), record.predicted.get(facet.id, ())
    if record.status != "done" or not gold or not predicted:
        return None
    stated = record.distributions.get(facet.id, {})
    if facet.cardinality == "multi":
        if set(gold) == set(predicted):
            return None
        sure = [stated[label] for label in predicted if label not in gold and label in stated]
        sure += [1 - stated[label] for label in gold if label not in predicted and label in stated]
        confidence = max(sure, default=None)
    else:
        if gold[0] == predicted[0]:
            return None
        confidence = stated.get(predicted[0])
    labels = tuple(dict.fromkeys((*predicted, *gold)))
    return Mistake(
        facet=facet,
        gold=gold,
        predicted=predicted,
        labels=labels,
        decided=tuple(stated.get(label) for label in labels),
        confidence=confidence,
        sources=tuple(_sources(record, facet, labels)),
        has_primary_among_others=facet.cardinality != "multi" and gold[0] in predicted,
    )


def _sources(record: CaseRecord, facet: Facet, labels: Sequence[str]) -> Iterable[Source]:
    for name, said in record.sources.get(facet.id, {}).items():
        first = max(said, key=lambda label: said[label], default="")
        led = "" if not said or name == "prior" else _led(first, record, facet)
        yield Source(name, SOURCES.get(name, name), first, tuple(said.get(label) for label in labels), led)


def _led(first: str, record: CaseRecord, facet: Facet) -> str:
    gold, predicted = record.gold[facet.id], record.predicted[facet.id]
    if facet.cardinality != "multi":
        gold, predicted = gold[:1], predicted[:1]
    if first in gold:
        return "spoke for the gold label"
    return "led to the mistake" if first in predicted else "spoke for another label"


class WriteUps:
    """The texts of the cases as they may be shown: redacted, with the evidence marked."""

    def __init__(self, cases: Mapping[str, Case], redactor: Redactor | None = None) -> None:
        self._cases = cases
        self._redactor = redactor or Redactor()
        self._redacted: dict[str, Redacted] = {}

    def heading(self, case_id: str) -> Heading:
        """The title and the link of a case; both empty for a case that isn't there."""
        case = self._cases.get(case_id)
        if case is None:
            return Heading("", "")
        # The title is redacted as a part of the whole: what is a secret may show in the write-up alone.
        redacted = self._redact(case)
        _, end = redacted.redacted_span(0, len(case.incident.title))
        url = case.incident.url
        is_link = url.startswith(("https://", "http://")) and not self._redactor.redact(url).counts
        return Heading(redacted.text[:end], url if is_link else "")

    def of(self, case_id: str, spans: Mapping[str, Sequence[tuple[int, int]]] | None = None) -> WriteUp | None:
        """The text of a case; `spans` are offsets in `Incident.text` by facet. None for a case that isn't there."""
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
    """`text` cut wherever evidence begins or ends."""
    edges = sorted({0, len(text), *(min(edge, len(text)) for start, end, _ in marked for edge in (start, end))})
    for start, end in itertools.pairwise(edges):
        facets = dict.fromkeys(facet for first, last, facet in marked if first <= start and end <= last)
        yield Piece(text[start:end], tuple(facets))
