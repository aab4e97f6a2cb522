"""Your own webhooks, after Standard Webhooks: `{"type": "incident.created", "timestamp": ..., "data": {...}}`."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from triage.domain.incident import Incident, Scalar, content_id
from triage.intake.webhooks.provider import MOST_ATTRIBUTES, MOST_WRITE_UP, Provider, Reading, stable_id
from triage.intake.webhooks.signatures import check_standard_secret, verify_standard

_NEW = ("incident", "incident.created", "incident.triggered")


class Data(BaseModel, frozen=True, extra="forbid"):
    """The incident, with the fields of `POST /v1/incidents`. `id` is the sender's own, in any form."""

    id: str = Field(default="", max_length=500)
    title: str = ""
    write_up: str = Field(min_length=1, max_length=MOST_WRITE_UP)
    service: str = ""
    severity: str = ""
    url: str = ""
    started_at: datetime | None = None
    detected_at: datetime | None = None
    mitigated_at: datetime | None = None
    resolved_at: datetime | None = None
    attributes: dict[str, Scalar] = Field(default_factory=dict, max_length=MOST_ATTRIBUTES)


class Message(BaseModel, frozen=True):
    """The payload. Messages of other types may come to the same URL."""

    type: str
    data: object = None


def _read(payload: bytes, source_id: str) -> Reading:
    """The incident of a created event, identified by its `id`, or else by its content."""
    message = Message.model_validate_json(payload)
    if message.type not in _NEW:
        return Reading(ignored=(f"Only {', '.join(_NEW)} make an incident, not {message.type[:100]!r}.",))
    data = Data.model_validate(message.data)
    identity = data.id or content_id(data.title, data.write_up)
    values = data.model_dump() | {"id": stable_id("generic", source_id, identity), "source": "webhook"}
    if data.id:
        values["attributes"] = {**data.attributes, "sender_id": data.id}
    return Reading((Incident.model_validate(values),))


GENERIC = Provider("generic", _read, verify_standard, check_standard_secret)
