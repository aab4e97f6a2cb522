"""The system of record in SQL, SQLite or PostgreSQL: incidents, annotations, assignments, triages and vectors."""

from __future__ import annotations

from triage.store.backup import Manifest, verify_backup, write_backup
from triage.store.judgements import Judgement, TriagedIncident
from triage.store.migrations import downgrade, upgrade
from triage.store.records import Listed, Page, Pending, Status, StoredIncident
from triage.store.resealing import Resealed, reseal
from triage.store.restoring import restore_backup
from triage.store.store import Store

__all__ = [
    "Judgement",
    "Listed",
    "Manifest",
    "Page",
    "Pending",
    "Resealed",
    "Status",
    "Store",
    "StoredIncident",
    "TriagedIncident",
    "downgrade",
    "reseal",
    "restore_backup",
    "upgrade",
    "verify_backup",
    "write_backup",
]
