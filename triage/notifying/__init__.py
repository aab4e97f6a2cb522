"""Telling others of triages: messages, their delivery over HTTP, and the task that works off the outbox."""

from __future__ import annotations

from triage.notifying.addresses import check_url
from triage.notifying.delivery import Courier, Outcome
from triage.notifying.notifier import Notifier, NotifierOptions

__all__ = ["Courier", "Notifier", "NotifierOptions", "Outcome", "check_url"]
