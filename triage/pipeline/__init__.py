"""Triage of one incident: `pipeline` runs it, the other modules are its steps."""
