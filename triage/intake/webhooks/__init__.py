"""Webhooks of monitoring and incident tools: the registry of their providers.

To add one, write its file with a `Provider` in it, and list it here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from triage.intake.webhooks.alertmanager import ALERTMANAGER
from triage.intake.webhooks.generic import GENERIC
from triage.intake.webhooks.grafana import GRAFANA
from triage.intake.webhooks.incident_io import INCIDENT_IO
from triage.intake.webhooks.pagerduty import PAGERDUTY
from triage.intake.webhooks.provider import Provider, Reading
from triage.intake.webhooks.signatures import BadSignature

__all__ = ["PROVIDERS", "BadSignature", "Provider", "Reading", "SourceKind"]

PROVIDERS: Mapping[str, Provider] = {
    provider.kind: provider for provider in (ALERTMANAGER, GRAFANA, PAGERDUTY, INCIDENT_IO, GENERIC)
}
"""Every provider by its kind."""

# Type checkers can't follow a Literal of the registry's keys; pydantic does.
if TYPE_CHECKING:
    SourceKind = str
else:
    SourceKind = Literal[tuple(PROVIDERS)]
