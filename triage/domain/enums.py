"""Closed sets of values that the database stores. Importing this module is fast."""

from __future__ import annotations

from typing import Literal, get_args

Status = Literal["pending", "triaged", "failed", "imported"]
"""`pending`: triage is queued or running. `failed`: the last attempt failed, see `StoredIncident.failure`.
`imported`: imported with labels as history, and not triaged."""

Event = Literal["triaged", "failed", "corrected"]
"""`triaged`: a triage was stored, degraded or not. `failed`: the last attempt failed and there is no automatic retry.
`corrected`: a person's gold label differs from the triage."""

EVENTS: tuple[Event, ...] = get_args(Event)

SubscriptionKind = Literal["generic", "slack"]
"""`generic`: signed JSON as in Standard Webhooks. `slack`: a message for a Slack-compatible incoming webhook."""
