"""The flow of one incident, from write-up to triage: `pipeline` runs it, the other modules are its steps."""
