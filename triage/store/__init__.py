"""The system of record in SQL, SQLite or PostgreSQL: incidents, annotations, assignments, triages and vectors."""

from __future__ import annotations

from triage.store.judgements import Judgement, TriagedIncident
from triage.store.migrations import downgrade, upgrade
from triage.store.records import Listed, Page, Pending, Status, StoredIncident
from triage.store.resealing import Resealed, reseal
from triage.store.store import Store

__all__ = [
    "Judgement",
    "Listed",
    "Page",
    "Pending",
    "Resealed",
    "Status",
    "Store",
    "StoredIncident",
    "TriagedIncident",
    "downgrade",
    "reseal",
    "upgrade",
]
