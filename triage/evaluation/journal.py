"""The journal of a run: one JSON line per finished case, so that an interrupt loses nothing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self

from pydantic import BaseModel, Field, ValidationError

from triage.domain.annotation import Labels
from triage.domain.triage_result import Provenance
from triage.intake.data_files import DataProblem, InvalidDataset
from triage.render.atomic_write import write_atomically


class NeighbourRecord(BaseModel, frozen=True):
    """A neighbour of the case, as the decision step saw it."""

    incident_id: str
    similarity: float
    is_near_duplicate: bool = False
    labels: Labels = Field(default_factory=dict)


class CaseRecord(BaseModel, frozen=True):
    """The result of one case.

    `distributions` maps facet -> label -> probability, and `sources` facet -> source -> label -> probability for the
    sources that the decision combined. `evidence` counts the spans of each facet; `evidence_spans` holds their offsets
    in `Incident.text`, which older runs did not record. A facet in `predicted` without labels abstained, for the reason
    in `abstentions`. A failed case has an `error` and no prediction; it is retried when the run is resumed.
    """

    case_id: str
    status: Literal["done", "failed"]
    error: str | None = None
    gold: Labels
    predicted: Labels = Field(default_factory=dict)
    distributions: dict[str, dict[str, float]] = Field(default_factory=dict)
    sources: dict[str, dict[str, dict[str, float]]] = Field(default_factory=dict)
    origins: dict[str, str] = Field(default_factory=dict)
    evidence: dict[str, int] = Field(default_factory=dict)
    evidence_spans: dict[str, tuple[tuple[int, int], ...]] = Field(default_factory=dict)
    abstentions: dict[str, str] = Field(default_factory=dict)
    neighbours: tuple[NeighbourRecord, ...] = ()
    fold: int | None = None
    degraded: bool = False
    degraded_reason: str | None = None
    seconds: float = Field(ge=0)
    provenance: Provenance | None = None


class Journal:
    """Appends records to `cases.jsonl` and knows the finished cases. A context manager.

    A last line that a crash cut off is dropped; another damaged line raises `InvalidDataset`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records: dict[str, CaseRecord] = {}
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        self.records, whole = _read(self.path)
        self._file = self.path.open("ab")
        self._file.truncate(whole)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            self._file.close()

    def append(self, record: CaseRecord) -> None:
        """Write one record to disk."""
        if self._file is None:
            raise ValueError("the journal is not open: use it as a context manager")
        self._file.write(_line(record))
        self._file.flush()
        self.records[record.case_id] = record

    def settle(self, order: Sequence[str]) -> list[CaseRecord]:
        """Rewrite the file in this order of case ids, one line each, then other cases. Returns the ordered records."""
        ordered = [self.records[case_id] for case_id in order if case_id in self.records]
        others = [self.records[case_id] for case_id in sorted(self.records.keys() - set(order))]
        write_atomically(self.path, b"".join(map(_line, (*ordered, *others))))
        return ordered


def finished(records: Sequence[CaseRecord]) -> dict[str, CaseRecord]:
    """The finished cases by id, in their order."""
    return {record.case_id: record for record in records if record.status == "done"}


def read_journal(path: Path) -> list[CaseRecord]:
    """The latest record of each case."""
    return list(_read(path)[0].values())


def _line(record: CaseRecord) -> bytes:
    return record.model_dump_json().encode() + b"\n"


def _read(path: Path) -> tuple[dict[str, CaseRecord], int]:
    """The latest record of each case, and the length of the file without an incomplete last line."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    records: dict[str, CaseRecord] = {}
    for number, line in enumerate(content[:whole].splitlines(), start=1):
        try:
            record = CaseRecord.model_validate_json(line)
        except ValidationError as error:
            problem = DataProblem(number, "", "is not a case record; delete this line to run the case again")
            raise InvalidDataset(path, [problem]) from error
        records[record.case_id] = record
    return records, whole
