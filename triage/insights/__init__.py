"""What a corpus of incidents tells: study, live agreement, radar, ledger, automation, summary and timeline."""
