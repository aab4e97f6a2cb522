"""Labelled incidents to be scored against."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, Field

from triage.domain.annotation import Labels
from triage.domain.errors import TriageError
from triage.domain.incident import Incident, Scalar
from triage.domain.taxonomy import Taxonomy
from triage.intake.data_files import DataProblem, Row, RowError


class Case(BaseModel, frozen=True):
    """An incident with its gold labels.

    `facts` is what a suite may select by and the pipeline never sees.
    """

    incident: Incident
    gold: Labels
    facts: dict[str, Scalar] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.incident.id

    @cached_property
    def group(self) -> str:
        """Equal for cases with the same words: copies of one write-up, which must not be each other's history."""
        words = " ".join(self.incident.write_up.casefold().split())
        return hashlib.sha256(words.encode()).hexdigest()[:16]


class Dataset(BaseModel, frozen=True):
    """The cases of one file.

    `skipped` counts the rows without any gold label for the wanted facets, `left_out` those that the suite leaves out,
    `repeats` the exact repeats of a row.
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
        """The cases as the history takes them."""
        return [(case.incident, case.gold) for case in self.cases]


def distinct(numbered: Iterable[tuple[int, Case]]) -> tuple[list[Case], int]:
    """The cases without exact repeats, and how many repeats there were.

    Published sets give one id to several reports now and then: the later ones get `-2`, `-3` and so on.
    """
    kept: dict[str, Case] = {}
    seen: dict[str, list[Case]] = {}
    repeats = 0
    for _, case in numbered:
        same_id = seen.setdefault(case.id, [])
        if case in same_id:
            repeats += 1
            continue
        same_id.append(case)
        new_id = case.id if len(same_id) == 1 else f"{case.id}-{len(same_id)}"
        kept[new_id] = case.model_copy(update={"incident": case.incident.model_copy(update={"id": new_id})})
    return list(kept.values()), repeats


def repeated_ids(numbered: Iterable[tuple[int, Case]]) -> Iterator[DataProblem]:
    """A problem for each case whose id another case had before."""
    lines: dict[str, int] = {}
    for line, case in numbered:
        if case.id in lines:
            yield DataProblem(line, "id", f"{case.id!r} stands on line {lines[case.id]} already")
        lines.setdefault(case.id, line)


def read_labels(row: Row, fields: Mapping[str, str], taxonomy: Taxonomy) -> Labels:
    """The gold labels of a row as taxonomy ids, for facet -> field of the row's `labels`; facets without are left out.

    Raises `RowError` for a label that the taxonomy does not have.
    """
    given = row.get("labels")
    if not isinstance(given, dict):
        raise RowError("labels", "must be an object of labels")
    labels: Labels = {}
    for facet, field in fields.items():
        value = given.get(field)
        names = [value] if isinstance(value, str) else value
        if not names:
            continue
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise RowError(f"labels.{field}", f"must be a label or a list of labels, not {value!r}")
        try:
            labels[facet] = taxonomy.canonical(facet, names)
        except TriageError as error:
            raise RowError(f"labels.{field}", error.detail) from error
    return labels
