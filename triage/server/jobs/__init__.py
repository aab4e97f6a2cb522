"""The job queue: accepted incidents are triaged exactly once, by any number of processes. `jobs.py` is the entry."""

from __future__ import annotations

from triage.server.jobs.jobs import Jobs, Runs
from triage.server.jobs.workflows import JobOptions, Role

__all__ = ["JobOptions", "Jobs", "Role", "Runs"]
