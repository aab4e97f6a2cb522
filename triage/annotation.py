"""Annotations: who gave which labels to one facet of one incident."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

Labels = dict[str, tuple[str, ...]]
"""Facet id -> label ids. In a facet with a primary label, the primary comes first."""

Origin = Literal["human", "model", "derived"]


class Annotation(BaseModel, frozen=True, extra="forbid"):
    """One annotator's labels for one facet of one incident.

    `origin` keeps human labels apart from labels of a model and labels derived from other facts; only `human` ones
    count as human in any report. `is_gold` marks the label that the history learns from.
    """

    incident_id: str
    facet: str = Field(min_length=1, max_length=100)
    labels: tuple[str, ...] = Field(min_length=1, max_length=20)
    annotator: str = Field(min_length=1, max_length=200)
    origin: Origin = "human"
    is_gold: bool = False
    note: str = Field(default="", max_length=4000)
    created_at: AwareDatetime = Field(default_factory=lambda: datetime.now(UTC))
