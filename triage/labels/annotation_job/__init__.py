"""The annotation job: who labels what, blind; where they disagree; and how gold labels come of it."""
