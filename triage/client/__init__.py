"""A Python client for the service's HTTP API. It needs neither the service nor its libraries.

from triage.client import Client

with Client("http://127.0.0.1:8350") as client:
    triage = client.triage("Chat completions time out since the router's release.")
    print(triage.facets["category"].labels)
"""

from __future__ import annotations

from triage.client.answers import Batch, BatchItem, Event, FinishedPage, FinishedTriage, Health, Listed, Status, Summary
from triage.client.clients import AsyncClient, Client
from triage.client.errors import (
    Busy,
    Conflict,
    Invalid,
    NotAllowed,
    NotFinished,
    NotFound,
    Outdated,
    ServiceError,
    TriageFailed,
    Unreachable,
)

__all__ = [
    "AsyncClient",
    "Batch",
    "BatchItem",
    "Busy",
    "Client",
    "Conflict",
    "Event",
    "FinishedPage",
    "FinishedTriage",
    "Health",
    "Invalid",
    "Listed",
    "NotAllowed",
    "NotFinished",
    "NotFound",
    "Outdated",
    "ServiceError",
    "Status",
    "Summary",
    "TriageFailed",
    "Unreachable",
]
