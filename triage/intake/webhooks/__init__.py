"""Webhooks of monitoring and incident tools: who sent one, and which incidents are in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from triage.intake.webhooks import alertmanager, generic, grafana, incident_io, pagerduty
from triage.intake.webhooks.reading import Reading
from triage.intake.webhooks.signatures import BadSignature, check_secret, verify

__all__ = ["READERS", "BadSignature", "Reading", "check_secret", "read", "verify"]

READERS: Mapping[str, Callable[[bytes, str], Reading]] = {
    "alertmanager": alertmanager.read,
    "grafana": grafana.read,
    "pagerduty": pagerduty.read,
    "incident_io": incident_io.read,
    "generic": generic.read,
}
"""Kind of sender -> what reads its payloads."""


def read(kind: str, payload: bytes, source_id: str) -> Reading:
    """The incidents in a payload, and what of it makes none. Raises a pydantic `ValidationError` for any other text.

    The same payload from the same source gives the same incidents with the same ids.
    """
    return READERS[kind](payload, source_id)
