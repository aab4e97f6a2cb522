"""An incident: its write-up, source and times."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, Field, field_validator, model_validator

IncidentId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
Scalar = str | int | float | bool | None
TtmUntil = Literal["mitigation", "resolution"]
"""Where a time to mitigate ends: at the mitigation, or at the resolution where that is all that is known."""


def _assume_utc(value: object) -> object:
    """Read times without a zone as UTC, since status pages and exports mostly omit it."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return value
    if isinstance(value, datetime) and value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    return value


def _has_utc(moment: datetime) -> datetime:
    try:
        moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is outside the years 1 to 9999 in UTC") from error
    return moment


ZonedMoment = Annotated[AwareDatetime, AfterValidator(_has_utc)]
"""A time with a zone."""

Moment = Annotated[ZonedMoment, BeforeValidator(_assume_utc)]
"""A time; UTC if it has no zone."""

_HEADLINE = 90
_ORDER = ("started_at", "detected_at", "mitigated_at", "resolved_at")


class Incident(BaseModel, frozen=True, extra="forbid"):
    """An incident. `write_up` is the text to classify, as its author wrote it.

    Times without a zone are UTC. Raises a validation error if times contradict each other (detected before started) or
    the write-up has no text.
    """

    id: IncidentId
    title: str = Field(default="", max_length=500)
    write_up: str = Field(min_length=1)
    source: str = Field(default="", max_length=200)
    service: str = Field(default="", max_length=200)
    severity: str = Field(default="", max_length=50)
    url: str = Field(default="", max_length=2000)
    started_at: Moment | None = None
    detected_at: Moment | None = None
    mitigated_at: Moment | None = None
    resolved_at: Moment | None = None
    attributes: dict[str, Scalar] = Field(default_factory=dict)

    @field_validator("title", "write_up", mode="after")
    @classmethod
    def _no_control_characters(cls, text: str) -> str:
        if "\x00" in text:
            raise ValueError("holds NUL characters: this looks like binary data, send plain text in UTF-8")
        return text

    @field_validator("write_up", mode="after")
    @classmethod
    def _has_text(cls, text: str) -> str:
        if not any(c.isalnum() for c in text):
            raise ValueError("is empty: send the text of the incident")
        return text

    @model_validator(mode="after")
    def _times_in_order(self) -> Self:
        known = [(name, value) for name in _ORDER if (value := getattr(self, name)) is not None]
        for (earlier, first), (later, second) in itertools.pairwise(known):
            if second < first:
                raise ValueError(
                    f"{later} ({second.isoformat()}) is before {earlier} ({first.isoformat()}): correct one of the two"
                )
        return self

    @property
    def text(self) -> str:
        """Title and write-up as one text, which is redacted, embedded and classified."""
        return f"{self.title}\n\n{self.write_up}" if self.title else self.write_up

    @property
    def headline(self) -> str:
        """The title, or else the beginning of the write-up, on one line."""
        words = " ".join((self.title or self.write_up[: 4 * _HEADLINE]).split())
        return words if self.title or len(words) <= _HEADLINE else f"{words[:_HEADLINE].rstrip()}…"

    @property
    def ttd_minutes(self) -> float | None:
        """Time to detect: from start to detection, in minutes."""
        return _minutes(self.started_at, self.detected_at)

    @property
    def ttm_minutes(self) -> float | None:
        """Time to mitigate: from start to mitigation, or else to resolution, in minutes."""
        return _minutes(self.started_at, self.mitigated_at or self.resolved_at)

    @property
    def ttm_until(self) -> TtmUntil | None:
        """Where `ttm_minutes` ends; None if it is unknown."""
        if self.ttm_minutes is None:
            return None
        return "mitigation" if self.mitigated_at else "resolution"


def content_id(title: str, write_up: str) -> str:
    """An id derived from title and write-up, ignoring line ends and surrounding white space."""
    text = "\x1f".join("\n".join(line.rstrip() for line in part.strip().splitlines()) for part in (title, write_up))
    return "inc-" + hashlib.sha256(text.encode()).hexdigest()[:24]


def _minutes(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else (end - start).total_seconds() / 60
