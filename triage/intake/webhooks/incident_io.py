"""incident.io's webhooks: an event type, and the incident in a member named after the type.

https://docs.incident.io/integrations/webhooks
"""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from triage.intake.webhooks.provider import Provider, Reading, make_incident, stable_id
from triage.intake.webhooks.signatures import check_standard_secret, verify_standard

_NEW = "public_incident.incident_created_v2"
_PRACTICE = ("test", "tutorial")


class Named(BaseModel, frozen=True):
    """A member with a name, such as the severity."""

    name: str = ""


class IncidentIo(BaseModel, frozen=True):
    """A new incident. Its summary is often written later: it is triaged with what is there now."""

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
    """The payload: `event_type`, and a member with that name."""

    event_type: str


def _read(payload: bytes, source_id: str) -> Reading:
    """The incident of a created event, identified by incident.io's id. Private incidents and other events make none."""
    delivery = Delivery.model_validate_json(payload)
    kind = delivery.event_type
    if kind != _NEW:
        private = " Events of private incidents contain nothing to triage." if kind.startswith("private_") else ""
        return Reading(ignored=(f"Only {_NEW} makes an incident, not {kind[:100]!r}.{private}",))
    content: Any = (delivery.model_extra or {}).get(kind)
    found = IncidentIo.model_validate(content)
    if found.mode in _PRACTICE:
        return Reading(ignored=(f"This is a {found.mode} incident.",))
    type_ = found.incident_type.name if found.incident_type else ""
    severity = found.severity.name if found.severity else ""
    title = found.name or found.reference or f"incident.io incident {found.id}"
    lines = [title, found.summary or "", f"Severity: {severity}" if severity else "", f"Type: {type_}" if type_ else ""]
    incident = make_incident(
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


INCIDENT_IO = Provider("incident_io", _read, verify_standard, check_standard_secret, makes_secret=True)
