"""Insights from a corpus of incidents: study, live agreement, radar, ledger, automation, summary and timeline."""
