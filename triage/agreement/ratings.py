"""The annotations of one facet as a table: incidents in rows, annotators in columns, gold labels beside it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

from triage.domain.annotation import Annotation, Origin, standing

LabelSet = tuple[str, ...]
LabelPairs = Sequence[tuple[LabelSet, LabelSet]]


class Annotator(NamedTuple):
    """Who labelled. The same name with two origins is two annotators."""

    name: str
    origin: Origin


class Ratings(NamedTuple):
    """The latest labels of each annotator for each incident of one facet; None where there are none.

    `gold` and `derived_gold` map incidents to gold labels; an incident with a person's gold label is not in
    `derived_gold`. A model's gold labels are left out: a model must not judge itself.
    """

    annotators: tuple[Annotator, ...]
    incidents: tuple[str, ...]
    rows: tuple[tuple[LabelSet | None, ...], ...]
    gold: dict[str, LabelSet]
    derived_gold: dict[str, LabelSet]

    @classmethod
    def of(cls, annotations: Iterable[Annotation]) -> Ratings:
        """The table of one facet's annotations, given oldest first."""
        counted = standing(annotations)
        # An adjudication settles the opinions of others: it is gold, not another opinion.
        opinions = [one for one in counted if not one.is_adjudication]
        annotators = sorted({Annotator(one.annotator, one.origin) for one in opinions})
        incidents = sorted({one.incident_id for one in counted})
        labels = {(one.incident_id, Annotator(one.annotator, one.origin)): one.labels for one in opinions}
        gold = {one.incident_id: one.labels for one in counted if one.is_gold and one.origin == "human"}
        derived = {one.incident_id: one.labels for one in counted if one.is_gold and one.origin == "derived"}
        return cls(
            annotators=tuple(annotators),
            incidents=tuple(incidents),
            rows=tuple(tuple(labels.get((incident, annotator)) for annotator in annotators) for incident in incidents),
            gold=gold,
            derived_gold={incident: found for incident, found in derived.items() if incident not in gold},
        )

    def columns(self, origin: Origin) -> list[int]:
        """The columns of the annotators of one origin."""
        return [i for i, annotator in enumerate(self.annotators) if annotator.origin == origin]

    def count(self, column: int) -> int:
        """How many incidents an annotator labelled."""
        return sum(row[column] is not None for row in self.rows)

    def both(self, first: int, second: int) -> LabelPairs:
        """The labels of two annotators on the incidents that both labelled."""
        pairs = ((row[first], row[second]) for row in self.rows)
        return [(a, b) for a, b in pairs if a is not None and b is not None]

    def with_gold(self, column: int, gold: dict[str, LabelSet]) -> LabelPairs:
        """The gold labels and those of one annotator on the incidents that have both."""
        rows = zip(self.incidents, self.rows, strict=True)
        return [(gold[incident], row[column] or ()) for incident, row in rows if incident in gold and row[column]]

    def of_columns(self, columns: Sequence[int]) -> list[tuple[LabelSet | None, ...]]:
        """The rows of some annotators."""
        return [tuple(row[column] for column in columns) for row in self.rows]

    def overlap(self, columns: Sequence[int]) -> int:
        """How many incidents at least two of the annotators labelled."""
        return sum(sum(labels is not None for labels in row) > 1 for row in self.of_columns(columns))


def pairs_of(columns: Sequence[int]) -> list[tuple[int, int]]:
    """All pairs of columns."""
    return list(combinations(columns, 2))
