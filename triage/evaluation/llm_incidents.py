"""The shipped data set: public incidents of LLM services, one JSON object per line, checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints, ValidationError, field_validator

from triage.domain.annotation import Labels
from triage.domain.errors import TriageError
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.cases import Case
from triage.intake.data_files import Row, RowError, make_incident, rejection

WORDS = (80, 250)

_Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class LlmIncident(BaseModel, frozen=True, extra="forbid", strict=True):
    """One record of `evals/datasets/llm_incidents/incidents.jsonl`. Unpublished durations are None."""

    id: str = Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=128)
    title: _Text
    write_up: _Text
    provider: _Text
    service: _Text
    date: str = Field(pattern=r"^\d{4}(-\d{2}-\d{2})?$")
    duration_minutes: float | None = Field(gt=0)
    time_to_detect_minutes: float | None = Field(ge=0)
    source_url: str = Field(pattern=r"^https?://\S+$")
    labels: dict[str, list[str]]
    label_origin: _Text
    label_note: _Text

    @field_validator("write_up")
    @classmethod
    def _of_fair_length(cls, text: str) -> str:
        words, (low, high) = len(text.split()), WORDS
        if not low <= words <= high:
            raise ValueError(f"has {words} words; it must have {low} to {high}")
        return text

    @field_validator("date")
    @classmethod
    def _is_a_day(cls, date: str) -> str:
        if len(date) > 4:
            datetime.fromisoformat(date)
        return date


def read_llm_incident(row: Row, facets: Mapping[str, str], taxonomy: Taxonomy) -> Case:
    """A case of the shipped data set. Labels of unscored facets are checked too.

    The data has dates only, so incidents start at midnight: their durations are right, their hours are not.
    """
    try:
        record = LlmIncident.model_validate(row)
    except ValidationError as error:
        raise rejection(error) from error
    labels = _checked_labels(record, taxonomy)
    started = datetime.fromisoformat(record.date if len(record.date) > 4 else f"{record.date}-01-01")
    started = started.replace(tzinfo=UTC)
    incident = make_incident(
        {
            "id": record.id,
            "title": record.title,
            "write_up": record.write_up,
            "source": record.provider,
            "service": record.service,
            "url": record.source_url,
            "started_at": started,
            "detected_at": _after(started, record.time_to_detect_minutes),
            "resolved_at": _after(started, record.duration_minutes),
        }
    )
    gold = {facet: labels[field] for facet, field in facets.items() if field in labels}
    return Case(incident=incident, gold=gold, facts={"label_origin": record.label_origin, "provider": record.provider})


def _after(started: datetime, minutes: float | None) -> datetime | None:
    return None if minutes is None else started + timedelta(minutes=minutes)


def _checked_labels(record: LlmIncident, taxonomy: Taxonomy) -> Labels:
    """The labels in canonical form. Labels and primary labels must belong to the labels of the parent facet."""
    labels: Labels = {}
    for facet_id, names in record.labels.items():
        try:
            labels[facet_id] = taxonomy.canonical(facet_id, names)
        except TriageError as error:
            raise RowError(f"labels.{facet_id}", error.detail) from error
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
