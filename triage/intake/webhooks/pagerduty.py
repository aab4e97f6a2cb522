"""PagerDuty's V3 webhook subscriptions: one event about one incident.

https://developer.pagerduty.com/docs/webhooks-overview
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, BaseModel, Field

from triage.intake.webhooks.provider import Provider, Reading, make_incident, stable_id
from triage.intake.webhooks.signatures import hmac_hex, is_same, require

_NEW = "incident.triggered"


class Reference(BaseModel, frozen=True):
    """A named object that the incident belongs to."""

    summary: str | None = ""


class PagerDutyIncident(BaseModel, frozen=True):
    """The incident of an `incident.*` event."""

    id: str = Field(min_length=1, max_length=200)
    number: int | None = None
    title: str = ""
    html_url: str | None = ""
    created_at: AwareDatetime | None = None
    service: Reference | None = None
    escalation_policy: Reference | None = None
    teams: tuple[Reference, ...] = ()
    priority: Reference | None = None
    urgency: str | None = ""


class Event(BaseModel, frozen=True):
    """The event. `data` is an incident only for some types."""

    event_type: str
    data: dict[str, Any] | None = None


class Delivery(BaseModel, frozen=True):
    """The payload."""

    event: Event


def _read(payload: bytes, source_id: str) -> Reading:
    """The incident of an `incident.triggered` event, identified by PagerDuty's id; other events make none.

    Its write-up consists of the title and where it belongs: the event contains nothing else.
    """
    event = Delivery.model_validate_json(payload).event
    if event.event_type != _NEW:
        return Reading(ignored=(f"Only {_NEW} makes an incident, not {event.event_type[:100]!r}.",))
    found = PagerDutyIncident.model_validate(event.data)
    service = _name(found.service)
    about = {
        "Service": service,
        "Urgency": found.urgency or "",
        "Priority": _name(found.priority),
        "Escalation policy": _name(found.escalation_policy),
        "Teams": ", ".join(filter(None, map(_name, found.teams))),
    }
    lines = [found.title or f"PagerDuty incident {found.number or found.id}"]
    lines += [f"{name}: {value}" for name, value in about.items() if value]
    incident = make_incident(
        stable_id("pagerduty", source_id, found.id),
        "pagerduty",
        lines[0],
        "\n".join(lines),
        service=service,
        severity=_name(found.priority) or found.urgency or "",
        url=found.html_url or "",
        started_at=found.created_at,
        attributes={"pagerduty_id": found.id, "pagerduty_number": found.number},
    )
    return Reading((incident,))


def _name(reference: Reference | None) -> str:
    return (reference.summary or "") if reference else ""


def _verify(secret: str, headers: Mapping[str, str], body: bytes, _now: float) -> None:
    """HMAC of the body. No time is signed: a resent message is known by its incident's id only."""
    expected = f"v1={hmac_hex(secret, body)}"
    require(any(is_same(each.strip(), expected) for each in headers.get("x-pagerduty-signature", "").split(",")))


PAGERDUTY = Provider("pagerduty", _read, _verify, makes_secret=True)
