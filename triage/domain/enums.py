"""The closed sets of words that the database keeps, and what each says: light, for whoever only names them."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["pending", "triaged", "failed", "imported"]
"""`pending`: accepted, triage is queued or running. `failed`: the last attempt failed, see `StoredIncident.failure`.
`imported`: came in with its labels, as history, and was never asked to be triaged."""

Event = Literal["triaged", "failed", "corrected"]
"""`triaged`: a triage was stored, degraded or not. `failed`: the last attempt failed and no other follows by itself.
`corrected`: a person's gold label says something else than the triage."""

EVENTS: tuple[Event, ...] = get_args(Event)

SubscriptionKind = Literal["generic", "slack"]
"""`generic`: signed JSON after Standard Webhooks. `slack`: a message for a Slack-compatible incoming webhook."""

SourceKind = Literal["alertmanager", "grafana", "pagerduty", "incident_io", "generic"]
"""Who sends incidents, and so how they are signed and what they look like."""
