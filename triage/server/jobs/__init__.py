"""The job queue: accepted incidents are triaged exactly once, by any number of processes. `jobs.py` is the entry."""

from __future__ import annotations

from triage.server.jobs.jobs import JobOptions, Jobs, Role, Runs

__all__ = ["JobOptions", "Jobs", "Role", "Runs"]
