"""Labelled incidents for suites, and the adapters that read them from published data sets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints, ValidationError, field_validator

from triage.domain.annotation import Labels
from triage.domain.errors import InvalidInput, NotFound, TriageError
from triage.domain.incident import Incident, Scalar
from triage.domain.taxonomy import Taxonomy
from triage.intake.data_files import (
    DataProblem,
    InvalidDataset,
    Row,
    RowError,
    as_id,
    make_incident,
    read_rows,
    rejection,
)
from triage.intake.labelled import read_row


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

    `history` is what the cases are triaged with, if that is another file. `skipped` counts the rows without a gold
    label for any chosen facet, `left_out` those that the suite excludes, and `repeats` exact duplicates.
    """

    name: str
    path: Path
    sha256: str
    cases: tuple[Case, ...]
    history: Dataset | None = None
    skipped: int = 0
    left_out: int = 0
    repeats: int = 0

    @property
    def records(self) -> list[tuple[Incident, Labels]]:
        """The incidents with their gold labels, ready for the history."""
        return [(case.incident, case.gold) for case in self.cases]


WORDS = (8, 450)

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


Shape = Literal["status_updates", "issue_report", "alert", "post_mortem", "summary"]
"""How a write-up is written: stages of a status page, an issue, a message of who is on call, sections, a paragraph."""


class LlmIncident(BaseModel, frozen=True, extra="forbid", strict=True):
    """One record of `evals/datasets/llm_incidents/incidents.jsonl`. What is not published is None.

    Without a published cause, `labels` lacks category and failure mode. `evidence` maps facets to verbatim quotes.
    """

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=128)
    title: _Text
    write_up: _Text
    shape: Shape
    provider: _Text | None
    service: _Text | None
    date: str | None = Field(pattern=r"^\d{4}(-\d{2}-\d{2})?$")
    duration_minutes: float | None = Field(gt=0)
    time_to_detect_minutes: float | None = Field(ge=0)
    source_url: str = Field(pattern=r"^https?://\S+$")
    labels: dict[str, list[str]]
    evidence: dict[str, _Text]
    label_origin: _Text
    label_note: _Text | None = None

    @field_validator("write_up")
    @classmethod
    def _of_fair_length(cls, text: str) -> str:
        words, (low, high) = len(text.split()), WORDS
        if not low <= words <= high:
            raise ValueError(f"has {words} words; it must have {low} to {high}")
        return text

    @field_validator("date")
    @classmethod
    def _is_a_day(cls, date: str | None) -> str | None:
        if date is not None and len(date) > 4:
            datetime.fromisoformat(date)
        return date


CaseReader = Callable[[Row, Mapping[str, str], Taxonomy], Case]


def load_dataset(
    adapter: str,
    path: Path,
    taxonomy: Taxonomy,
    facets: Mapping[str, str] | None = None,
    *,
    leave_out: Mapping[str, Scalar] | None = None,
    keep: Mapping[str, Scalar] | None = None,
) -> Dataset:
    """The cases of a file, or of the adapter's file in a folder.

    `facets` maps each facet to the data's field with its label (default: all facets, under their own names). Rows
    without a gold label for any of them are skipped and counted, as are rows whose facts match all of `leave_out` or
    not all of `keep`. Raises `InvalidDataset` with every mistake, `NotFound` without the file.
    """
    if adapter not in ADAPTERS:
        raise InvalidInput(f"Unknown data adapter {adapter!r}. There are: {', '.join(ADAPTERS)}.", field="adapter")
    if facets is None:
        facets = {facet.id: facet.id for facet in taxonomy.facets}
    for name in facets:
        taxonomy.facet(name)
    file = _file_in(path, adapter)
    rows, problems, sha256 = read_rows(file)
    numbered = list(_read_cases(rows, ADAPTERS[adapter], facets, taxonomy, problems))
    if adapter == "llm_incidents":
        problems += _repeated_ids(numbered)
    if problems:
        raise InvalidDataset(file, sorted(problems))
    selected = [
        (line, case)
        for line, case in numbered
        if _matches(case, keep or {}) and not (leave_out and _matches(case, leave_out))
    ]
    labelled = [(line, case) for line, case in selected if case.gold]
    if not labelled:
        raise InvalidInput(f"{file} has no row with a gold label for {', '.join(facets)}.", field="facets")
    cases, repeats = _distinct(labelled)
    return Dataset(
        name=file.stem,
        path=file,
        sha256=sha256,
        cases=tuple(cases),
        skipped=len(selected) - len(labelled),
        left_out=len(numbered) - len(selected),
        repeats=repeats,
    )


def shipped_history() -> list[tuple[Incident, Labels]]:
    """The shipped incidents with all their labels, checked and ready for the history."""
    return load_dataset("llm_incidents", _shipped_file(), Taxonomy.load("llm_inference")).records


def _shipped_file() -> Path:
    name = "datasets/llm_incidents/incidents.jsonl"
    installed = Path(str(resources.files("triage").joinpath(name)))
    return installed if installed.is_file() else Path(__file__).parents[2] / "evals" / name


def _read_cases(
    rows: Iterable[tuple[int, Row]],
    read: CaseReader,
    facets: Mapping[str, str],
    taxonomy: Taxonomy,
    problems: list[DataProblem],
) -> Iterator[tuple[int, Case]]:
    for line, row in rows:
        try:
            yield line, read(row, facets, taxonomy)
        except RowError as error:
            problems.append(DataProblem(line, error.field, str(error)))


def _distinct(numbered: Iterable[tuple[int, Case]]) -> tuple[list[Case], int]:
    """The cases without exact duplicates, and the number of duplicates.

    Published data may give one id to several reports: the later ones get `-2`, `-3` and so on.
    """
    distinct: dict[str, Case] = {}
    seen: dict[str, list[Case]] = {}
    repeats = 0
    for _, case in numbered:
        same_id = seen.setdefault(case.id, [])
        if case in same_id:
            repeats += 1
            continue
        same_id.append(case)
        new_id = case.id if len(same_id) == 1 else f"{case.id}-{len(same_id)}"
        distinct[new_id] = case.model_copy(update={"incident": case.incident.model_copy(update={"id": new_id})})
    return list(distinct.values()), repeats


def _repeated_ids(numbered: Iterable[tuple[int, Case]]) -> Iterator[DataProblem]:
    """A problem for each case whose id is taken by an earlier line."""
    lines: dict[str, int] = {}
    for line, case in numbered:
        if case.id in lines:
            yield DataProblem(line, "id", f"{case.id!r} is already used on line {lines[case.id]}")
        lines.setdefault(case.id, line)


def _read_labels(row: Row, fields: Mapping[str, str], taxonomy: Taxonomy) -> Labels:
    """The gold labels of a row as taxonomy ids. `fields` maps each facet to its field in the row's `labels`.

    Facets without a label are left out. Raises `RowError` for an unknown label.
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
        labels[facet] = _canonical(taxonomy, facet, names, f"labels.{field}")
    return labels


def _canonical(taxonomy: Taxonomy, facet: str, names: list[str], field: str) -> tuple[str, ...]:
    try:
        return taxonomy.canonical(facet, names)
    except TriageError as error:
        raise RowError(field, error.detail) from error


def _matches(case: Case, facts: Mapping[str, Scalar]) -> bool:
    return all(case.facts.get(name) == value for name, value in facts.items())


def _file_in(path: Path, adapter: str) -> Path:
    if not path.exists():
        raise NotFound(f"There is no data file {path}: check --data, --history and the suite.", path=str(path))
    if not path.is_dir():
        return path
    found = sorted(path.glob(_FILES[adapter]))
    if len(found) == 1:
        return found[0]
    seen = f"holds several: {', '.join(file.name for file in found)}" if found else f"holds no {_FILES[adapter]}"
    raise NotFound(f"{path} {seen}. Name one file with --data.", path=str(path))


def _read_llm_incident(row: Row, facets: Mapping[str, str], taxonomy: Taxonomy) -> Case:
    """A case of the shipped data set. Labels of unscored facets are checked too.

    The data has dates only, so incidents start at midnight: their durations are right, their hours are not. An
    incident without a date has no times.
    """
    try:
        record = LlmIncident.model_validate(row)
    except ValidationError as error:
        raise rejection(error) from error
    labels = _checked_labels(record, taxonomy)
    _check_evidence(record)
    started = _start(record.date)
    incident = make_incident(
        {
            "id": record.id,
            "title": record.title,
            "write_up": record.write_up,
            "source": record.provider or "",
            "service": record.service or "",
            "url": record.source_url,
            "started_at": started,
            "detected_at": _after(started, record.time_to_detect_minutes),
            "resolved_at": _after(started, record.duration_minutes),
        }
    )
    gold = {facet: labels[field] for facet, field in facets.items() if field in labels}
    facts = {"label_origin": record.label_origin, "provider": record.provider, "shape": record.shape}
    return Case(incident=incident, gold=gold, facts=facts)


def _start(date: str | None) -> datetime | None:
    if date is None:
        return None
    return datetime.fromisoformat(date if len(date) > 4 else f"{date}-01-01").replace(tzinfo=UTC)


def _check_evidence(record: LlmIncident) -> None:
    """Raise `RowError` for a quote of an unlabelled facet, or one that the text doesn't have (up to white space)."""
    text = " ".join(f"{record.title} {record.write_up}".split())
    for facet, quote in record.evidence.items():
        if facet not in record.labels:
            raise RowError(f"evidence.{facet}", "quotes for a facet without labels")
        if " ".join(quote.split()) not in text:
            raise RowError(f"evidence.{facet}", f"{quote!r} is neither in the title nor in the write-up")


def _checked_labels(record: LlmIncident, taxonomy: Taxonomy) -> Labels:
    """The labels in canonical form. Labels and primary labels must belong to the labels of the parent facet."""
    labels = {facet: _canonical(taxonomy, facet, names, f"labels.{facet}") for facet, names in record.labels.items()}
    try:
        taxonomy.validate_labels(labels)
    except TriageError as error:
        raise RowError(f"labels.{error.data.get('facet', '')}", error.detail) from error
    for facet_id, ids in labels.items():
        facet = taxonomy.facet(facet_id)
        if facet.parent in labels and facet.label(ids[0]).parent != labels[facet.parent][0]:
            raise RowError(
                f"labels.{facet_id}",
                f"its first label {ids[0]!r} belongs under {facet.label(ids[0]).parent!r}, but the first label of "
                f"{facet.parent!r} is {labels[facet.parent][0]!r}",
            )
    return labels


def _read_row(row: Row, facets: Mapping[str, str], taxonomy: Taxonomy) -> Case:
    """A row as `triage import` reads it; `facts` keeps an id that had to be changed. All its labels are checked."""
    found = read_row(row, taxonomy, facets)
    gold = {facet: labels for facet, labels in found.labels.items() if facet in facets}
    return Case(incident=found.incident, gold=gold, facts=found.facts)


def _read_issre22(row: Row, facets: Mapping[str, str], taxonomy: Taxonomy) -> Case:
    """Post-mortems of the ISSRE 2022 study 'Going through the life cycle of faults in clouds'."""
    labels = _read_labels(row, facets, taxonomy)
    started = row.get("created_at")
    minutes = row["labels"].get("duration_min")
    times: dict[str, Any] = {"started_at": started}
    if started and isinstance(minutes, int | float) and minutes >= 0:
        times["resolved_at"] = _moment(started) + timedelta(minutes=minutes)
    return Case(incident=_incident(row, **times), gold=labels, facts=_facts(row))


def _read_cloud_reports(row: Row, facets: Mapping[str, str], taxonomy: Taxonomy) -> Case:
    """Reports of Azure, AWS and Google Cloud from the ICPE 2026 study."""
    labels = _read_labels(row, facets, taxonomy)
    start, end = (_moment_or_none(row["labels"].get(name)) for name in ("start", "end"))
    if start and end and end < start:
        start = end = None
    # The file also holds answers of models; they must not reach the pipeline.
    incident = _incident(
        row, source=f"{row.get('source', '')} {row.get('vendor', '')}", started_at=start, resolved_at=end
    )
    return Case(incident=incident, gold=labels, facts=_facts(row))


def _read_vllm(row: Row, facets: Mapping[str, str], taxonomy: Taxonomy) -> Case:
    """Issues of an inference engine with the labels of its maintainers."""
    labels = _read_labels(row, facets, taxonomy)
    incident = _incident(row, started_at=row.get("created_at"), resolved_at=row.get("resolved_at"))
    return Case(incident=incident, gold=labels, facts=_facts(row))


ADAPTERS: dict[str, CaseReader] = {
    "rows": _read_row,
    "llm_incidents": _read_llm_incident,
    "issre22": _read_issre22,
    "cloud_reports": _read_cloud_reports,
    "vllm": _read_vllm,
}
"""Adapter name -> reader of one row."""

_FILES = {
    "rows": "*.jsonl",
    "llm_incidents": "incidents.jsonl",
    "issre22": "issre22_*.jsonl",
    "cloud_reports": "cloud_reports_azure*.jsonl",
    "vllm": "vllm_*.jsonl",
}


def _incident(row: Row, **more: Any) -> Incident:
    fields = {
        "id": as_id(row.get("id")),
        "title": row.get("title") or "",
        "write_up": row.get("text"),
        "source": row.get("source") or "",
        "url": row.get("url") or "",
    }
    try:
        return make_incident(fields | more)
    except RowError as error:
        # Use the field's name in the file.
        raise RowError("text" if error.field == "write_up" else error.field, str(error)) from error


def _after(started: datetime | None, minutes: float | None) -> datetime | None:
    return None if started is None or minutes is None else started + timedelta(minutes=minutes)


def _facts(row: Row) -> dict[str, Scalar]:
    return {k: v for k, v in row.items() if k not in ("title", "text") and isinstance(v, str | int | float)}


def _moment(value: str) -> datetime:
    moment = _moment_or_none(value)
    if moment is None:
        raise RowError("created_at", f"is not a date or time: {value!r}")
    return moment


def _moment_or_none(value: object) -> datetime | None:
    """A published time; None for other text, like 'UNKNOWN' or a time without a date."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
