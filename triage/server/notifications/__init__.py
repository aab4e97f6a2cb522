"""Notifications of triages: messages, their delivery over HTTP, and the task that sends them from the outbox."""

from __future__ import annotations

from triage.server.notifications.delivery import Courier, Outcome, check_url
from triage.server.notifications.notifier import Notifier, NotifierOptions

__all__ = ["Courier", "Notifier", "NotifierOptions", "Outcome", "check_url"]
