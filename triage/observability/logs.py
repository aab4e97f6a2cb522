"""Logs. Every line has the ids of its request, incident and trace; secrets are masked.

Logs must not contain write-ups: messages name ids, and the input that validation errors quote is removed.
"""

from __future__ import annotations

import json
import logging
import re
import sys
import traceback
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Any, Literal

from triage.observability import spans

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the current request, or empty."""

incident_id: ContextVar[str] = ContextVar("incident_id", default="")
"""The id of the incident in triage, or empty."""

ACCESS = "triage.access"
"""The name of the access logger."""

_CHATTY = ("httpx", "httpx2", "openai", "uvicorn", "chromadb", "alembic", "dbos", "aiosqlite", "aiohttp.access")
_BEGINNING = 60
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_KNOWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"})

MASK = "***"

_SECRETS = (
    re.compile(r"triage_[0-9a-f]{12}_()[A-Za-z0-9_-]{20,}"),
    re.compile(r"(?i)\b(?:bearer|basic)\s+()[A-Za-z0-9._~+/=-]{8,}"),
    re.compile(r"(?i)x-api-key['\"]?[,:=\s]+b?['\"]?()[^\s'\",)]+"),
    # user:password@ in a URL
    re.compile(r"(?<=://)[^\s:/@]*:()[^\s/@]+(?=@)"),
)
_SHORTEST = 6


def set_up(
    log_format: Literal["text", "json"], level: str, stream: IO[str] | None = None, hidden: Iterable[str] = ()
) -> None:
    """Log to `stream` (standard error). Each request is logged in JSON, and in text at level `debug`.

    API keys and the `hidden` values are masked.
    """
    masking = Masking(hidden)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(masking)
    handler.setFormatter(JsonFormatter(masking) if log_format == "json" else TextFormatter(masking))
    # DBOS polls its database many times a second, and logs each failure while the database is down.
    logging.getLogger("dbos").addFilter(Seldom())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # They log every model call and every step of the queue.
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    logs_requests = log_format == "json" or level == "debug"
    logging.getLogger(ACCESS).setLevel(logging.NOTSET if logs_requests else logging.WARNING)


def sane_id(requested: str | None) -> str:
    """The caller's request id if it has 1 to 64 letters, digits and `._:-`, else a new one."""
    return requested if requested and _SANE.fullmatch(requested) else uuid.uuid4().hex


@contextmanager
def about_incident(key: str) -> Iterator[None]:
    """Add this incident id to every line logged in the block."""
    token = incident_id.set(key)
    try:
        yield
    finally:
        incident_id.reset(token)


class Masking(logging.Filter):
    """Replaces API keys, passwords in URLs, and `secrets` with `***` in messages and tracebacks.

    Add it to handlers, so that it sees the records of every library. A formatter that formats tracebacks itself must
    mask them itself.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted({secret for secret in secrets if len(secret) >= _SHORTEST}, key=len, reverse=True)
        self._traceback = logging.Formatter()

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask a record. Always True."""
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
        for secret in self._secrets:
            text = text.replace(secret, MASK)
        for pattern in _SECRETS:
            text = pattern.sub(_hide, text)
        return text


class Seldom(logging.Filter):
    """Lets messages with the same beginning pass once in `every_s` seconds."""

    def __init__(self, every_s: float = 30.0) -> None:
        super().__init__()
        self._every_s = every_s
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        beginning = record.getMessage()[:_BEGINNING]
        is_new = record.created - self._last.get(beginning, float("-inf")) >= self._every_s
        if is_new:
            self._last = {**dict(list(self._last.items())[-99:]), beginning: record.created}
        return is_new


class _Formatter(logging.Formatter):
    """Masks what the filter can't: tracebacks, which are formatted again here, and `extra` values."""

    def __init__(self, masking: Masking | None = None) -> None:
        super().__init__()
        self._masked = (masking or Masking()).masked

    def _extra(self, record: logging.LogRecord) -> dict[str, Any]:
        extra = {name: value for name, value in vars(record).items() if name not in _KNOWN}
        return {name: self._masked(value) if isinstance(value, str) else value for name, value in extra.items()}

    def _traceback(self, record: logging.LogRecord) -> str:
        """The masked traceback, without the input that validation errors quote; empty without an exception."""
        if not record.exc_info or record.exc_info[1] is None:
            return ""
        summary = traceback.TracebackException.from_exception(record.exc_info[1])
        _remove_input(summary, record.exc_info[1])
        return self._masked("".join(summary.format()).rstrip())


class JsonFormatter(_Formatter):
    """One JSON object per line: time, level, logger, message, ids, and `extra` values."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(),
            **self._extra(record),
        }
        if exception := self._traceback(record):
            line["exception"] = exception
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(_Formatter):
    """One line of text, with the ids after the message; tracebacks follow on lines of their own.

    Further lines of a message are indented, so that they can't be mistaken for records, and control characters are
    escaped, so that they don't control a terminal.
    """

    def format(self, record: logging.LogRecord) -> str:
        details = " ".join(f"{name}={value}" for name, value in (self._extra(record) | _ids()).items())
        line = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        line = _CONTROL.sub(lambda match: repr(match[0])[1:-1], f"{line} [{details}]" if details else line)
        return "\n".join(filter(None, (line.replace("\n", "\n  "), self._traceback(record))))


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ids() -> dict[str, str]:
    ids = {"request_id": request_id.get(), "incident_id": incident_id.get(), **spans.current_ids()}
    return {name: value for name, value in ids.items() if value}


def _remove_input(summary: traceback.TracebackException, error: BaseException) -> None:
    """Replace the messages of validation errors, which quote their input, with places and kinds."""
    seen: set[int] = set()
    pairs = [(summary, error)]
    while pairs:
        part, raised = pairs.pop()
        if id(raised) in seen:
            continue
        seen.add(id(raised))
        if callable(errors := getattr(raised, "errors", None)) and hasattr(raised, "error_count"):
            found = errors(include_input=False, include_url=False, include_context=False)
            places = {".".join(map(str, each["loc"])) or "(whole)": each["type"] for each in found[:10]}
            # `TracebackException` has no public way to set its message.
            vars(part)["_str"] = f"{len(found)} validation errors: {places}"
        for more, cause in ((part.__cause__, raised.__cause__), (part.__context__, raised.__context__)):
            if more is not None and cause is not None:
                pairs.append((more, cause))


def _hide(match: re.Match[str]) -> str:
    # The empty group marks where the secret begins.
    return match.string[match.start() : match.start(1)] + MASK
