"""The HTTP API: reads requests, calls the casebook, the store and the jobs, and answers."""

from __future__ import annotations

from triage.server.api.app import create_app
from triage.server.api.service import Check, Service

__all__ = ["Check", "Service", "create_app"]
