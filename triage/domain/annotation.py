"""Annotations: who gave which labels to one facet of one incident, and who is to give them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

Labels = dict[str, tuple[str, ...]]
"""Facet id -> label ids. In a facet with a primary label, the primary comes first."""

Origin = Literal["human", "model", "derived"]


LONGEST_NAME = 200
"""Characters of an annotator's name."""


def one_line(name: str) -> str:
    """A name as somebody typed it, on one line and without what can't be seen.

    >>> one_line(" Ada \\n Lovelace\\x00")
    'Ada Lovelace'
    """
    return " ".join("".join(c for c in name if c.isprintable() or c.isspace()).split())


class Annotation(BaseModel, frozen=True, extra="forbid"):
    """One annotator's labels for one facet of one incident.

    `origin` keeps human labels apart from labels of a model and labels derived from other facts; only `human` ones
    count as human in any report. `is_gold` marks the label that the history learns from.

    `saw_model` says whether the annotator had been shown the model's labels of the incident before giving their own;
    None where that is not known. An adjudication has in `settles` the ids of the annotations that it was made from:
    it is gold, and no further opinion of its annotator. The `id` is given when it is stored.
    """

    incident_id: str
    facet: str = Field(min_length=1, max_length=100)
    labels: tuple[str, ...] = Field(min_length=1, max_length=20)
    annotator: str = Field(min_length=1, max_length=LONGEST_NAME)
    origin: Origin = "human"
    is_gold: bool = False
    note: str = Field(default="", max_length=4000)
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    saw_model: bool | None = None
    settles: tuple[int, ...] = ()
    id: int | None = None

    @property
    def is_adjudication(self) -> bool:
        """True for a gold label that settles what annotators said."""
        return bool(self.settles)


def standing(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Those of `annotations`, oldest first, that count: each annotator's latest for each facet of each incident.

    An annotator's adjudications count apart from their own labels.
    """
    latest: dict[tuple[str, str, str, bool], Annotation] = {}
    for annotation in annotations:
        speaker = annotation.incident_id, annotation.facet, annotation.annotator, annotation.is_adjudication
        latest.pop(speaker, None)
        latest[speaker] = annotation
    return list(latest.values())


def words_of_people(annotations: Iterable[Annotation]) -> dict[str, Annotation]:
    """Facet -> the person's label that counts, of one incident's annotations, oldest first.

    That is the gold one, else the latest if all who spoke say the same. A facet on which people differ and that nobody
    has settled is left out, and so is one of which no person has said anything.
    """
    words: dict[str, Annotation] = {}
    given: dict[str, list[Annotation]] = {}
    for annotation in standing(annotations):
        if annotation.origin == "human":
            given.setdefault(annotation.facet, []).append(annotation)
    for facet, said in given.items():
        gold = [each for each in said if each.is_gold]
        if gold or len({each.labels for each in said}) == 1:
            words[facet] = (gold or said)[-1]
    return words


class Assignment(BaseModel, frozen=True, extra="forbid"):
    """One annotator is to label these facets of one incident. `shows_model` lets them see the model's labels first."""

    incident_id: str
    annotator: str = Field(min_length=1, max_length=LONGEST_NAME)
    facets: tuple[str, ...] = Field(min_length=1)
    shows_model: bool = False
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
