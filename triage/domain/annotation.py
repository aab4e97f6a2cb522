"""Annotations: the labels that an annotator gave to a facet of an incident, and assignments to give some."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

Labels = dict[str, tuple[str, ...]]
"""Facet id -> label ids. In a facet with a primary label, the primary comes first."""

Origin = Literal["human", "model", "derived"]

NOT_TOLD = "not told"
"""How an answer without labels is compared and shown: the write-up doesn't tell. No label has this id."""

LONGEST_NAME = 200
"""Maximum characters of an annotator's name."""


def clean_name(name: str) -> str:
    """A typed name on one line, without invisible characters.

    >>> clean_name(" Ada \\n Lovelace\\x00")
    'Ada Lovelace'
    """
    return " ".join("".join(c for c in name if c.isprintable() or c.isspace()).split())


class Annotation(BaseModel, frozen=True, extra="forbid"):
    """One annotator's labels for one facet of one incident.

    No labels are an answer too: the write-up doesn't tell, so the facet has none. `origin` separates people's labels
    from a model's and from derived ones; reports count only `human` labels as human. `is_gold` marks the label that the
    history learns from. `saw_model` says whether the annotator had seen the model's labels before giving their own
    (None: unknown). `confirms` is the run of the triage that the annotator was shown and whose labels these are.
    `settles` holds the ids of the annotations that an adjudication is based on; an adjudication is gold and is no
    further opinion of its annotator. The store sets `id`.
    """

    incident_id: str
    facet: str = Field(min_length=1, max_length=100)
    labels: tuple[str, ...] = Field(max_length=20)
    annotator: str = Field(min_length=1, max_length=LONGEST_NAME)
    origin: Origin = "human"
    is_gold: bool = False
    note: str = Field(default="", max_length=4000)
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
    saw_model: bool | None = None
    confirms: str | None = Field(default=None, max_length=200)
    settles: tuple[int, ...] = ()
    id: int | None = None

    @property
    def is_adjudication(self) -> bool:
        """True for a gold label that settles the annotators' labels."""
        return bool(self.settles)

    @property
    def answer(self) -> tuple[str, ...]:
        """The labels, or `NOT_TOLD`, which is compared and shown like a label."""
        return self.labels or (NOT_TOLD,)


def standing(annotations: Iterable[Annotation]) -> list[Annotation]:
    """Each annotator's latest annotation for each facet of each incident. `annotations` are sorted oldest first.

    Adjudications are kept separately from their annotator's own labels.
    """
    latest: dict[tuple[str, str, str, bool], Annotation] = {}
    for annotation in annotations:
        key = annotation.incident_id, annotation.facet, annotation.annotator, annotation.is_adjudication
        latest.pop(key, None)
        latest[key] = annotation
    return list(latest.values())


def agreed_by_people(annotations: Iterable[Annotation]) -> dict[str, Annotation]:
    """Facet -> the human annotation that counts, of one incident's annotations sorted oldest first.

    That is the latest gold one, else the latest one if all annotators agree. Facets without human labels and facets
    with an unsettled disagreement are left out.
    """
    by_facet: dict[str, list[Annotation]] = {}
    for annotation in standing(annotations):
        if annotation.origin == "human":
            by_facet.setdefault(annotation.facet, []).append(annotation)
    agreed: dict[str, Annotation] = {}
    for facet, given in by_facet.items():
        gold = [annotation for annotation in given if annotation.is_gold]
        if gold or len({annotation.labels for annotation in given}) == 1:
            agreed[facet] = (gold or given)[-1]
    return agreed


class Assignment(BaseModel, frozen=True, extra="forbid"):
    """Asks an annotator to label facets of an incident. `shows_model` shows them the model's labels first."""

    incident_id: str
    annotator: str = Field(min_length=1, max_length=LONGEST_NAME)
    facets: tuple[str, ...] = Field(min_length=1)
    shows_model: bool = False
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
