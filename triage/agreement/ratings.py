"""Annotations of one facet as a table: incidents in rows, annotators in columns, and the gold labels beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from triage.domain.annotation import Annotation, Origin, standing

LabelSet = tuple[str, ...]


class Annotator(NamedTuple):
    """Who labelled, and as what: the same name with two origins is two annotators."""

    name: str
    origin: Origin


class Ratings(NamedTuple):
    """What each annotator said of each incident of one facet, the latest word each; None where nothing was said.

    `gold` and `derived_gold` hold the gold labels by incident; an incident with a person's gold label is not in
    `derived_gold`. A model's gold labels are left out: a model must not be its own judge.
    """

    annotators: tuple[Annotator, ...]
    incidents: tuple[str, ...]
    rows: tuple[tuple[LabelSet | None, ...], ...]
    gold: dict[str, LabelSet]
    derived_gold: dict[str, LabelSet]

    @classmethod
    def of(cls, annotations: Iterable[Annotation]) -> Ratings:
        """The table of the annotations of one facet, oldest first."""
        counted = standing(annotations)
        # An adjudication settles what others said: it is gold, and no further opinion.
        opinions = [one for one in counted if not one.is_adjudication]
        annotators = sorted({Annotator(one.annotator, one.origin) for one in opinions})
        incidents = sorted({one.incident_id for one in counted})
        said = {(one.incident_id, Annotator(one.annotator, one.origin)): one.labels for one in opinions}
        gold = {one.incident_id: one.labels for one in counted if one.is_gold and one.origin == "human"}
        derived = {one.incident_id: one.labels for one in counted if one.is_gold and one.origin == "derived"}
        return cls(
            annotators=tuple(annotators),
            incidents=tuple(incidents),
            rows=tuple(tuple(said.get((incident, who)) for who in annotators) for incident in incidents),
            gold=gold,
            derived_gold={incident: labels for incident, labels in derived.items() if incident not in gold},
        )

    def columns(self, origin: Origin) -> list[int]:
        """The columns of the annotators of one origin."""
        return [i for i, annotator in enumerate(self.annotators) if annotator.origin == origin]

    def count(self, column: int) -> int:
        """How many incidents an annotator labelled."""
        return sum(row[column] is not None for row in self.rows)

    def both(self, first: int, second: int) -> list[tuple[LabelSet, LabelSet]]:
        """The labels of two annotators on the incidents that both labelled."""
        pairs = ((row[first], row[second]) for row in self.rows)
        return [(a, b) for a, b in pairs if a is not None and b is not None]

    def with_gold(self, column: int, gold: dict[str, LabelSet]) -> list[tuple[LabelSet, LabelSet]]:
        """The gold labels and those of one annotator on the incidents that have both."""
        said = zip(self.incidents, self.rows, strict=True)
        return [(gold[incident], row[column] or ()) for incident, row in said if incident in gold and row[column]]

    def of_columns(self, columns: Sequence[int]) -> list[tuple[LabelSet | None, ...]]:
        """The rows of some annotators."""
        return [tuple(row[column] for column in columns) for row in self.rows]

    def overlap(self, columns: Sequence[int]) -> int:
        """How many incidents at least two of the annotators labelled."""
        return sum(sum(labels is not None for labels in row) > 1 for row in self.of_columns(columns))


def pairs_of(columns: Sequence[int]) -> list[tuple[int, int]]:
    """All pairs of columns."""
    return list(combinations(columns, 2))
