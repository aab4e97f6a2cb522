"""The system of record in SQL, SQLite or PostgreSQL: incidents, annotations, assignments, triages and vectors."""

from __future__ import annotations

from triage.store.backup import Manifest, verify_backup, write_backup
from triage.store.judgements import Coverage, Judgement, TriagedIncident
from triage.store.migrations import downgrade, upgrade
from triage.store.notifications import Claimed, Notification, NotificationState
from triage.store.piles import Candidate, InUse, Pile
from triage.store.records import (
    DEFAULT_TEAM,
    Finished,
    FinishedPage,
    Labelled,
    Listed,
    Made,
    Page,
    Pending,
    Posted,
    Recent,
    StoredIncident,
    Wanted,
)
from triage.store.resealing import Resealed, reseal
from triage.store.restoring import restore_backup
from triage.store.store import Store
from triage.store.subscriptions import Subscription, WebhookSource

__all__ = [
    "DEFAULT_TEAM",
    "Candidate",
    "Claimed",
    "Coverage",
    "Finished",
    "FinishedPage",
    "InUse",
    "Judgement",
    "Labelled",
    "Listed",
    "Made",
    "Manifest",
    "Notification",
    "NotificationState",
    "Page",
    "Pending",
    "Pile",
    "Posted",
    "Recent",
    "Resealed",
    "Store",
    "StoredIncident",
    "Subscription",
    "TriagedIncident",
    "Wanted",
    "WebhookSource",
    "downgrade",
    "reseal",
    "restore_backup",
    "upgrade",
    "verify_backup",
    "write_backup",
]
