"""Observability: logs with ids and without secrets, trace spans, progress, and the current step of a triage."""
