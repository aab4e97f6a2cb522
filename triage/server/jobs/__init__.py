"""Durable triage: what was accepted is triaged exactly once, by any number of processes. `queue.py` is the way in."""

from __future__ import annotations

from triage.server.jobs.queue import JobOptions, Jobs, Role, Runs

__all__ = ["JobOptions", "Jobs", "Role", "Runs"]
