"""Prometheus Alertmanager's webhook receiver (payload version 4): a group of alerts.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from pydantic import AwareDatetime, BaseModel, Field

from triage.intake.webhooks.provider import Provider, Reading, make_incident, stable_id
from triage.intake.webhooks.signatures import verify_bearer

_MOST_ALERTS = 50
_MOST_ALERTS_READ = 5_000
_LONGEST_TEXT = 2_000
_SERVICE = ("service", "app", "job", "namespace")


class Alert(BaseModel, frozen=True):
    """One alert of a group, firing since `startsAt`."""

    status: str = "firing"
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    startsAt: AwareDatetime | None = None  # noqa: N815 - the sender's name
    generatorURL: str = ""  # noqa: N815


class Group(BaseModel, frozen=True):
    """Alertmanager's payload, as far as it is used here. Grafana sends the same fields and more."""

    groupKey: str = Field(min_length=1, max_length=10_000)  # noqa: N815
    status: str = "firing"
    receiver: str = ""
    alerts: tuple[Alert, ...] = Field(max_length=_MOST_ALERTS_READ)
    groupLabels: dict[str, str] = Field(default_factory=dict)  # noqa: N815
    commonLabels: dict[str, str] = Field(default_factory=dict)  # noqa: N815
    commonAnnotations: dict[str, str] = Field(default_factory=dict)  # noqa: N815
    externalURL: str = ""  # noqa: N815
    truncatedAlerts: int = 0  # noqa: N815
    title: str = ""
    orgId: int | None = None  # noqa: N815


def read_group(payload: bytes, source_id: str, source: str) -> Reading:
    """One incident for a firing group, identified by the group and the start of its first alert.

    A resolved group makes none.
    """
    group = Group.model_validate_json(payload)
    firing = [alert for alert in group.alerts if alert.status == "firing"]
    if group.status != "firing" or not firing:
        return Reading(ignored=("No alert is firing: the incident of a resolved group stays as it is.",))
    started_at = min((alert.startsAt for alert in firing if alert.startsAt), default=None)
    moment = started_at.astimezone(UTC).isoformat() if started_at else ""
    labels, notes = group.commonLabels, group.commonAnnotations
    incident = make_incident(
        stable_id(source, source_id, str(group.orgId or ""), group.groupKey, moment),
        source,
        _title(group, firing),
        _write_up(group, firing),
        service=next((labels[name] for name in _SERVICE if labels.get(name)), ""),
        severity=labels.get("severity", ""),
        url=notes.get("runbook_url") or firing[0].generatorURL or group.externalURL,
        started_at=started_at if started_at and started_at.year > 1 else None,
        attributes={**labels, "receiver": group.receiver, "alerts": len(firing) + group.truncatedAlerts},
    )
    return Reading((incident,))


def _title(group: Group, firing: list[Alert]) -> str:
    summary = group.commonAnnotations.get("summary") or firing[0].annotations.get("summary", "")
    name = group.commonLabels.get("alertname") or firing[0].labels.get("alertname", "")
    return (f"{name}: {summary}" if name and summary else name or summary) or group.title or "Alerts firing"


def _write_up(group: Group, firing: list[Alert]) -> str:
    number = len(firing) + group.truncatedAlerts
    lines = [f"{number} alert{'s' if number != 1 else ''} firing.", *_texts(group.commonAnnotations, {})]
    if group.commonLabels:
        lines.append(f"All of them: {_pairs(group.commonLabels)}")
    for alert in firing[:_MOST_ALERTS]:
        own = {name: value for name, value in alert.labels.items() if group.commonLabels.get(name) != value}
        since = f" since {_moment(alert.startsAt)}" if alert.startsAt else ""
        lines.append(f"- {_pairs(own) or alert.labels.get('alertname', 'alert')}{since}")
        lines += [f"  {line}" for line in _texts(alert.annotations, group.commonAnnotations)]
    if number > _MOST_ALERTS:
        lines.append(f"... and {number - min(len(firing), _MOST_ALERTS)} more.")
    return "\n".join(lines)


def _texts(annotations: dict[str, str], known: dict[str, str]) -> list[str]:
    """The annotations that people read, without links and the like."""
    names = ("summary", "description", "message")
    return [annotations[n][:_LONGEST_TEXT] for n in names if annotations.get(n) and known.get(n) != annotations[n]]


def _pairs(labels: dict[str, str]) -> str:
    return ", ".join(f"{name}={value}" for name, value in list(labels.items())[:_MOST_ALERTS])[:_LONGEST_TEXT]


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


ALERTMANAGER = Provider("alertmanager", partial(read_group, source="alertmanager"), verify_bearer)
