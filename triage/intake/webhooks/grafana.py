"""Grafana Alerting's webhook contact point: Alertmanager's payload and more.

https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
"""

from __future__ import annotations

from triage.intake.webhooks.alertmanager import read_group
from triage.intake.webhooks.reading import Reading


def read(payload: bytes, source_id: str) -> Reading:
    """One incident for a group that fires; see `alertmanager.read`."""
    return read_group(payload, source_id, "grafana")
