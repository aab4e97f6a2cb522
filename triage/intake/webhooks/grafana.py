"""Grafana Alerting's webhook contact point: Alertmanager's payload and more.

https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from triage.intake.webhooks.alertmanager import read_group
from triage.intake.webhooks.provider import Provider
from triage.intake.webhooks.signatures import hmac_hex, is_same, require, require_recent

TIMESTAMP = "x-grafana-alerting-timestamp"
"""The name of the timestamp header to enter in Grafana's settings, which have no default."""


def _verify(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> None:
    """HMAC of the body, or of timestamp, colon and body if the contact point has a timestamp header."""
    timestamp = headers.get(TIMESTAMP)
    signed = body if timestamp is None else timestamp.encode() + b":" + body
    require(is_same(headers.get("x-grafana-alerting-signature", ""), hmac_hex(secret, signed)))
    if timestamp is not None:
        require_recent(timestamp, now)


GRAFANA = Provider("grafana", partial(read_group, source="grafana"), _verify)
