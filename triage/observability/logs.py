"""Logs that can be followed: every line tells the request, the incident and the trace that it is of.

Nothing of a write-up is meant to stand in them: messages name ids, and errors that quote their input lose the quote.
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
from triage.observability.masking import Masking

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that is being answered, or empty."""

incident_id: ContextVar[str] = ContextVar("incident_id", default="")
"""The id of the incident that is being triaged, or empty."""

ACCESS = "triage.access"
"""The logger that tells of every request."""

_CHATTY = ("httpx", "httpx2", "openai", "uvicorn", "chromadb", "alembic", "dbos", "aiosqlite", "aiohttp.access")
_BEGINNING = 60
_SANE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_KNOWN = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "color_message", "taskName"})


def set_up(
    log_format: Literal["text", "json"], level: str, stream: IO[str] | None = None, hidden: Iterable[str] = ()
) -> None:
    """Log to standard error, or to `stream`. Requests are told of one by one in JSON, and in text at level `debug`.

    Keys of any kind, and the `hidden` values, are masked.
    """
    masking = Masking(hidden)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.addFilter(masking)
    handler.setFormatter(JsonFormatter(masking) if log_format == "json" else TextFormatter(masking))
    # It asks its database many times a second, also while that is away.
    logging.getLogger("dbos").addFilter(Seldom())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # Each call of a model is a line of its own otherwise, and each step of the queue.
    for chatty in _CHATTY:
        logging.getLogger(chatty).setLevel(logging.WARNING)
    tells_requests = log_format == "json" or level == "debug"
    logging.getLogger(ACCESS).setLevel(logging.NOTSET if tells_requests else logging.WARNING)


def sane_id(given: str | None) -> str:
    """The caller's id of a request if it is short and plain (1 to 64 letters, digits, `.`, `_`, `:`, `-`), else a new
    one.
    """
    return given if given and _SANE.fullmatch(given) else uuid.uuid4().hex


@contextmanager
def about_incident(key: str) -> Iterator[None]:
    """Every line that is logged meanwhile names this incident."""
    token = incident_id.set(key)
    try:
        yield
    finally:
        incident_id.reset(token)


class Seldom(logging.Filter):
    """Lets a message that begins like an earlier one pass once in `every_s` seconds."""

    def __init__(self, every_s: float = 30.0) -> None:
        super().__init__()
        self._every_s = every_s
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """True if nothing like it was told of late."""
        beginning = record.getMessage()[:_BEGINNING]
        is_new = record.created - self._told.get(beginning, float("-inf")) >= self._every_s
        if is_new:
            self._told = {**dict(list(self._told.items())[-99:]), beginning: record.created}
        return is_new


class _Formatter(logging.Formatter):
    """Masks what the filter can't: tracebacks, which are written anew here, and what was given as `extra`."""

    def __init__(self, masking: Masking | None = None) -> None:
        super().__init__()
        self._masked = (masking or Masking()).masked

    def _extra(self, record: logging.LogRecord) -> dict[str, Any]:
        extra = {name: value for name, value in vars(record).items() if name not in _KNOWN}
        return {name: self._masked(value) if isinstance(value, str) else value for name, value in extra.items()}

    def _traceback(self, record: logging.LogRecord) -> str:
        return self._masked(_exception(record))


class JsonFormatter(_Formatter):
    """One JSON object a line: time, level, logger, message, ids, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_ids(),
            **self._extra(record),
        }
        if told := self._traceback(record):
            line["exception"] = told
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(_Formatter):
    """A line for people, with the ids behind the message. Further lines of a message are set in, so that none of them
    looks like a line of its own, and control characters, which a terminal obeys, are written out."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as a line; an exception's traceback follows on lines of its own."""
        told = " ".join(f"{name}={value}" for name, value in (self._extra(record) | _ids()).items())
        line = f"{_time(record)} {record.levelname} {record.name}: {record.getMessage()}"
        return "\n".join(filter(None, (_harmless(f"{line} [{told}]" if told else line), self._traceback(record))))


def _harmless(text: str) -> str:
    return _CONTROL.sub(lambda match: repr(match[0])[1:-1], text).replace("\n", "\n  ")


def _time(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _ids() -> dict[str, str]:
    ids = {"request_id": request_id.get(), "incident_id": incident_id.get(), **spans.current_ids()}
    return {name: value for name, value in ids.items() if value}


def _exception(record: logging.LogRecord) -> str:
    """The traceback, without the input that validation errors quote."""
    if not record.exc_info or record.exc_info[1] is None:
        return ""
    told = traceback.TracebackException.from_exception(record.exc_info[1])
    _without_input(told, record.exc_info[1])
    return "".join(told.format()).rstrip()


def _without_input(told: traceback.TracebackException, error: BaseException) -> None:
    seen: set[int] = set()
    pairs = [(told, error)]
    while pairs:
        words, raised = pairs.pop()
        if id(raised) in seen:
            continue
        seen.add(id(raised))
        if callable(errors := getattr(raised, "errors", None)) and hasattr(raised, "error_count"):
            found = errors(include_input=False, include_url=False, include_context=False)
            places = {".".join(map(str, each["loc"])) or "(whole)": each["type"] for each in found[:10]}
            # There is no other way in.
            vars(words)["_str"] = f"{len(found)} validation errors: {places}"
        for more, cause in ((words.__cause__, raised.__cause__), (words.__context__, raised.__context__)):
            if more is not None and cause is not None:
                pairs.append((more, cause))
