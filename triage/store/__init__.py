"""The system of record in SQL, SQLite or PostgreSQL: incidents, annotations, assignments, triages and vectors."""

from __future__ import annotations

from triage.store.judgements import Judgement, TriagedIncident
from triage.store.migrations import downgrade, upgrade
from triage.store.records import Finished, FinishedPage, Labelled, Listed, Page, Pending, Status, StoredIncident, Wanted
from triage.store.store import Store

__all__ = [
    "Finished",
    "FinishedPage",
    "Judgement",
    "Labelled",
    "Listed",
    "Page",
    "Pending",
    "Status",
    "Store",
    "StoredIncident",
    "TriagedIncident",
    "Wanted",
    "downgrade",
    "upgrade",
]
