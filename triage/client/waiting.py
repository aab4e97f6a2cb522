"""Waiting: for a triage until a deadline or event by event, and before a call is sent again."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx
import tenacity

from triage.client import calls
from triage.client.answers import Event, Status
from triage.client.calls import Call
from triage.client.errors import Busy, NotFinished, Unreachable
from triage.domain.triage_result import Triage

PAUSE_S = 1.0
# By default a service holds a request for at most this long; longer waits take several requests.
_MOST_AT_ONCE_S = 60.0
_MOST_BROKEN_STREAMS = 5
_backoff = tenacity.wait_random_exponential(multiplier=0.2, max=20.0)


class Patience(NamedTuple):
    """How many times a call is tried while the service is busy or unreachable, and for how many seconds.

    A wait that would end later is not started.
    """

    tries: int = 4
    seconds: float = 60.0

    def policy(self) -> dict[str, Any]:
        """The arguments for tenacity's `Retrying` and `AsyncRetrying`."""
        return {
            "retry": tenacity.retry_if_exception_type((Busy, Unreachable)),
            "stop": tenacity.stop_after_attempt(self.tries) | tenacity.stop_before_delay(self.seconds),
            "wait": _wait_s,
            "reraise": True,
        }


def _wait_s(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    # `Retry-After` is respected.
    asked_s = error.retry_after_s if isinstance(error, Busy) else None
    return asked_s if asked_s is not None else _backoff(state)


class Wait:
    """A wait for the triage of one incident that ends after `seconds`."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def limit(self, call: Call[Status | Triage]) -> Call[Status | Triage]:
        """The call, waiting no longer than is left, and no longer than a service holds a request."""
        return call.waiting(max(0.0, min(self._end - time.monotonic(), _MOST_AT_ONCE_S)))

    def go_on(self, found: Status) -> Call[Status | Triage]:
        """The call to send after a pause. Raises `NotFinished` when the time is over.

        The pause is for incidents that failed: they are answered at once until they are tried again.
        """
        if time.monotonic() >= self._end - 1:
            message = f"Incident {found.id!r} is {found.status}: ask for it later with `result`."
            raise NotFinished(message, incident_id=found.id)
        return calls.triage_of(found.id)


class EventReader:
    """Assembles the events of an incident from the lines of a stream, or of several where streams break off."""

    def __init__(self, incident_id: str) -> None:
        self._call = calls.events(incident_id)
        self._last_id: str | None = None
        self._broken_streams = 0
        self._fields: dict[str, str] = {}

    def call(self) -> Call[None]:
        """The call that opens a stream of the events after those that were read."""
        self._fields = {}
        if self._last_id is None:
            return self._call
        return self._call._replace(headers={**self._call.headers, "Last-Event-ID": self._last_id})

    def break_off(self, error: httpx.TransportError) -> None:
        """Raise `Unreachable` if no other stream should be opened: nothing was read, or too many broke off."""
        self._broken_streams += 1
        if self._last_id is None or self._broken_streams >= _MOST_BROKEN_STREAMS:
            raise unreachable(error) from error

    def read(self, line: str) -> Iterator[Event]:
        """The event that this line completes, if any."""
        if line:
            field, _, value = line.partition(":")
            value = value.removeprefix(" ")
            is_more = field == "data" and "data" in self._fields
            self._fields[field] = f"{self._fields['data']}\n{value}" if is_more else value
            return
        fields, self._fields = self._fields, {}
        if "data" in fields:
            self._last_id, self._broken_streams = fields.get("id", ""), 0
            yield Event(id=self._last_id, name=fields.get("event", "message"), data=json.loads(fields["data"]))


def unreachable(error: httpx.TransportError) -> Unreachable:
    """The error for a request that got no answer."""
    return Unreachable(f"The service did not answer ({type(error).__name__}): {error}")
