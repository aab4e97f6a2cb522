"""The system of record in SQL, SQLite or PostgreSQL: incidents, annotations, assignments, triages and vectors."""

from __future__ import annotations

from triage.store.judgements import Judgement, TriagedIncident
from triage.store.migrations import downgrade, upgrade
from triage.store.notifications import Claimed, Notification, NotificationState
from triage.store.records import DEFAULT_TEAM, Listed, Page, Pending, Status, StoredIncident
from triage.store.store import Store
from triage.store.subscriptions import EVENTS, Event, SourceKind, Subscription, SubscriptionKind, WebhookSource

__all__ = [
    "DEFAULT_TEAM",
    "EVENTS",
    "Claimed",
    "Event",
    "Judgement",
    "Listed",
    "Notification",
    "NotificationState",
    "Page",
    "Pending",
    "SourceKind",
    "Status",
    "Store",
    "StoredIncident",
    "Subscription",
    "SubscriptionKind",
    "TriagedIncident",
    "WebhookSource",
    "downgrade",
    "upgrade",
]
