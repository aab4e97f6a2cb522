"""incident.io's webhooks: an event named after its type, with the incident under that name.

https://docs.incident.io/integrations/webhooks
"""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from triage.intake.webhooks.reading import Reading, made, stable_id

_NEW = "public_incident.incident_created_v2"
_PRACTICE = ("test", "tutorial")


class Named(BaseModel, frozen=True):
    """Something with a name, such as a severity."""

    name: str = ""


class IncidentIo(BaseModel, frozen=True):
    """A new incident. People mostly write the summary later: what is there now is triaged."""

    id: str = Field(min_length=1, max_length=200)
    reference: str | None = ""
    name: str = ""
    summary: str | None = ""
    permalink: str | None = ""
    created_at: AwareDatetime | None = None
    severity: Named | None = None
    incident_type: Named | None = None
    mode: str | None = "standard"


class Delivery(BaseModel, frozen=True, extra="allow"):
    """What incident.io sends: `event_type`, and a member with that name."""

    event_type: str


def read(payload: bytes, source_id: str) -> Reading:
    """The incident of a created event, named by incident.io's id; other events, and private incidents, make none."""
    delivery = Delivery.model_validate_json(payload)
    kind = delivery.event_type
    if kind != _NEW:
        private = " An event of a private incident holds nothing to triage." if kind.startswith("private_") else ""
        return Reading(ignored=(f"Only {_NEW} makes an incident, and this is {kind[:100]!r}.{private}",))
    content: Any = (delivery.model_extra or {}).get(kind)
    found = IncidentIo.model_validate(content)
    if found.mode in _PRACTICE:
        return Reading(ignored=(f"The incident is a {found.mode} one.",))
    type_ = found.incident_type.name if found.incident_type else ""
    severity = found.severity.name if found.severity else ""
    title = found.name or found.reference or f"incident.io incident {found.id}"
    lines = [title, found.summary or "", f"Severity: {severity}" if severity else "", f"Type: {type_}" if type_ else ""]
    incident = made(
        stable_id("incident_io", source_id, found.id),
        "incident.io",
        title,
        "\n".join(filter(None, lines)),
        severity=severity,
        url=found.permalink or "",
        started_at=found.created_at,
        attributes={"incident_io_id": found.id, "incident_io_reference": found.reference, "type": type_},
    )
    return Reading((incident,))
