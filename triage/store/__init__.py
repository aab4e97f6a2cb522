"""The system of record in SQL, SQLite or PostgreSQL: incidents, annotations, assignments, triages and vectors."""

from __future__ import annotations

from triage.store.annotations import Labelled
from triage.store.attempts import Pending
from triage.store.backup import Manifest, restore_backup, verify_backup, write_backup
from triage.store.incidents import IncidentQuery, Listed, Page, StoredIncident
from triage.store.migrations import downgrade, upgrade
from triage.store.notifications import Claimed, Notification, NotificationState
from triage.store.reencryption import Reencrypted, reencrypt
from triage.store.review_queues import Candidate, QueueName
from triage.store.reviews import Coverage, Judgement, TriagedIncident
from triage.store.store import Store, Workload
from triage.store.subscriptions import Subscription, WebhookSource
from triage.store.triages import Finished, TriageRun

__all__ = [
    "Candidate",
    "Claimed",
    "Coverage",
    "Finished",
    "IncidentQuery",
    "Judgement",
    "Labelled",
    "Listed",
    "Manifest",
    "Notification",
    "NotificationState",
    "Page",
    "Pending",
    "QueueName",
    "Reencrypted",
    "Store",
    "StoredIncident",
    "Subscription",
    "TriageRun",
    "TriagedIncident",
    "WebhookSource",
    "Workload",
    "downgrade",
    "reencrypt",
    "restore_backup",
    "upgrade",
    "verify_backup",
    "write_backup",
]
