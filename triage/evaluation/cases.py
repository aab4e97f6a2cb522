"""Labelled incidents."""

from __future__ import annotations

import hashlib
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, Field

from triage.domain.annotation import Labels
from triage.domain.incident import Incident, Scalar


class Case(BaseModel, frozen=True):
    """An incident with its gold labels. Suites may select cases by `facts`, which the pipeline never sees."""

    incident: Incident
    gold: Labels
    facts: dict[str, Scalar] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.incident.id

    @cached_property
    def group(self) -> str:
        """Equal for cases with the same words: copies of a write-up must not be each other's history."""
        words = " ".join(self.incident.write_up.casefold().split())
        return hashlib.sha256(words.encode()).hexdigest()[:16]


class Dataset(BaseModel, frozen=True):
    """The cases of one file.

    `skipped` counts the rows without a gold label for any chosen facet, `left_out` those that the suite excludes, and
    `repeats` exact duplicates.
    """

    name: str
    path: Path
    sha256: str
    cases: tuple[Case, ...]
    skipped: int = 0
    left_out: int = 0
    repeats: int = 0

    @property
    def records(self) -> list[tuple[Incident, Labels]]:
        """The incidents with their gold labels, ready for the history."""
        return [(case.incident, case.gold) for case in self.cases]
