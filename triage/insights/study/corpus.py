"""The corpus of a study: incidents with one set of labels each, and the origin of the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from triage.domain.annotation import Annotation, Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Taxonomy


class Record(NamedTuple):
    """One incident and its canonical labels."""

    incident: Incident
    labels: Labels

    @property
    def id(self) -> str:
        return self.incident.id


class Corpus(NamedTuple):
    """The incidents of a study. `origin` says who gave the labels.

    `annotations` are single annotators' labels, oldest first, for their agreement; they are optional. `notes` say what
    was left out.
    """

    name: str
    taxonomy: Taxonomy
    records: tuple[Record, ...]
    origin: str
    annotations: tuple[Annotation, ...] = ()
    notes: tuple[str, ...] = ()


def counted(facet: Facet, labels: Labels) -> tuple[str, ...]:
    """The labels that a study counts: all of a facet with many, else the primary one."""
    given = labels.get(facet.id, ())
    return given if facet.cardinality == "multi" else given[:1]


def undisclosed(facet: Facet) -> frozenset[str]:
    """The labels for "not disclosed"."""
    return frozenset(label.id for label in facet.labels if label.undisclosed)


def tells(facet: Facet, record: Record) -> bool:
    """True if the incident has a label of this facet other than "not disclosed"."""
    return bool(set(counted(facet, record.labels)) - undisclosed(facet))


def ids(records: Iterable[Record]) -> tuple[str, ...]:
    return tuple(record.id for record in records)


def with_label(facet: Facet, labels: Sequence[str], records: Iterable[Record]) -> list[Record]:
    """The records with one of these labels."""
    return [record for record in records if set(counted(facet, record.labels)) & set(labels)]


def split_by_disclosure(facet: Facet, records: Iterable[Record]) -> tuple[list[Record], list[Record]]:
    """The records labelled with this facet: those that disclose it, and those that don't."""
    labelled = [record for record in records if record.labels.get(facet.id)]
    return [r for r in labelled if tells(facet, r)], [r for r in labelled if not tells(facet, r)]


def origin_of(annotations: Iterable[Annotation]) -> str:
    """Who gave the gold labels among the annotations, in words."""
    words = {"human": "given by people", "model": "given by a model", "derived": "derived from other facts"}
    counts = Counter(annotation.origin for annotation in annotations if annotation.is_gold)
    return ", ".join(f"{words[origin]} ({n})" for origin, n in sorted(counts.items())) or "of unknown origin"
