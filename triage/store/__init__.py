"""The system of record in SQL, SQLite or PostgreSQL: incidents, annotations, assignments, triages and vectors."""

from __future__ import annotations

from triage.store.annotations import Labelled
from triage.store.attempts import Pending
from triage.store.backup import Manifest, verify_backup, write_backup
from triage.store.incidents import Listed, Page, Posted, StoredIncident, Wanted
from triage.store.migrations import downgrade, upgrade
from triage.store.notifications import Claimed, Notification, NotificationState
from triage.store.reencryption import Resealed, reseal
from triage.store.restore import restore_backup
from triage.store.review_queues import Candidate, InUse, Pile
from triage.store.reviews import Coverage, Judgement, TriagedIncident
from triage.store.store import Recorded, Store, Workload
from triage.store.subscriptions import Subscription, WebhookSource
from triage.store.triages import Finished, FinishedPage, Made, Recent

__all__ = [
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
    "Recorded",
    "Resealed",
    "Store",
    "StoredIncident",
    "Subscription",
    "TriagedIncident",
    "Wanted",
    "WebhookSource",
    "Workload",
    "downgrade",
    "reseal",
    "restore_backup",
    "upgrade",
    "verify_backup",
    "write_backup",
]
