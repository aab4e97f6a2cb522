"""Keys and passwords kept out of the log."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

MASK = "***"

_PATTERNS = (
    re.compile(r"triage_[0-9a-f]{12}_()[A-Za-z0-9_-]{20,}"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+()[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)x-api-key['\"]?[,:=\s]+b?['\"]?()[^\s'\",)]+"),
    # user:password@ in an address
    re.compile(r"(?<=://)[^\s:/@]*:()[^\s/@]+(?=@)"),
)
_SHORTEST = 6


class Masking(logging.Filter):
    """Puts `***` in the place of keys, passwords in addresses, and `secrets`, in whatever is logged.

    Add it to the handlers, so that it sees the records of every library. Tracebacks are masked too: a formatter that
    writes them by itself has to mask them by itself.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
        self._traceback = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask a record; it is always let through."""
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            # A record that can't be formatted is reported by the handler.
            return True
        record.msg, record.args = self.masked(message), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = self._traceback.formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = self.masked(record.exc_text)
        return True

    def masked(self, text: str) -> str:
        """The text without its secrets."""
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for pattern in _PATTERNS:
            text = pattern.sub(_hide, text)
        return text


def _hide(match: re.Match[str]) -> str:
    # The empty group marks where the secret begins.
    return match.string[match.start() : match.start(1)] + MASK
