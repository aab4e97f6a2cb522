"""Intake: write-ups and labelled incidents from files, in the forms that people keep them in."""
