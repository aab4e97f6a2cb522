"""What is studied: incidents with one set of labels each, and whose labels these are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from triage.domain.annotation import Annotation, Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet, Taxonomy


class Record(NamedTuple):
    """One incident and its labels, in canonical form."""

    incident: Incident
    labels: Labels

    @property
    def id(self) -> str:
        """The incident's id."""
        return self.incident.id


class Corpus(NamedTuple):
    """The incidents of a study. `origin` says in words whose labels they carry; derived ones are called derived.

    `annotations` are single annotators' labels, for their agreement, oldest first; there need be none. `notes` tell of
    what was left out.
    """

    name: str
    taxonomy: Taxonomy
    records: tuple[Record, ...]
    origin: str
    annotations: tuple[Annotation, ...] = ()
    notes: tuple[str, ...] = ()


def counted(facet: Facet, labels: Labels) -> tuple[str, ...]:
    """The labels of an incident that a study counts: all of a facet with many, else the (primary) one."""
    given = labels.get(facet.id, ())
    return given if facet.cardinality == "multi" else given[:1]


def undisclosed(facet: Facet) -> frozenset[str]:
    """The labels that say that the write-up does not tell."""
    return frozenset(label.id for label in facet.labels if label.undisclosed)


def tells(facet: Facet, record: Record) -> bool:
    """Whether the incident carries a label of this facet other than that its write-up does not tell."""
    return bool(set(counted(facet, record.labels)) - undisclosed(facet))


def ids(records: Iterable[Record]) -> tuple[str, ...]:
    """The incidents' ids, in their order."""
    return tuple(record.id for record in records)


def with_label(facet: Facet, wanted: Sequence[str], records: Iterable[Record]) -> list[Record]:
    """The records that carry one of these labels."""
    return [record for record in records if set(counted(facet, record.labels)) & set(wanted)]


def origin_of(annotations: Iterable[Annotation]) -> str:
    """Whose labels the gold ones among the annotations are, in words."""
    words = {"human": "given by people", "model": "given by a model", "derived": "derived from other facts"}
    counts: dict[str, int] = {}
    for one in annotations:
        if one.is_gold:
            counts[one.origin] = counts.get(one.origin, 0) + 1
    return ", ".join(f"{words[origin]} ({n})" for origin, n in sorted(counts.items())) or "of unknown origin"
