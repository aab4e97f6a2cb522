"""Redaction: secrets and personal data become stable placeholders before any text leaves the process."""

from triage.redaction.redacted import Redacted
from triage.redaction.redactor import Redactor

__all__ = ["Redacted", "Redactor"]
