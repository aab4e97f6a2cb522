"""The one retry layer for remote models: what is worth another try, how long to wait, and when to give up.

It knows errors by their HTTP status and kind, not by a library's classes, so it serves every client library.
"""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar

import tenacity
from pydantic import BaseModel

from triage.domain.errors import ModelUnavailable, TriageError
from triage.models.chat import is_transient_status
from triage.models.chat.deadline import ends_at
from triage.models.chat.gate import Gate
from triage.models.chat.tracing import tried

T = TypeVar("T")

_EXHAUSTED = "insufficient_quota"
_WRONG_KEY = 401
_TOO_MANY = 429
_LONG_WAIT_S = 1.0
_SHORTEST_SECRET = 8
_TRANSIENT_KINDS = frozenset(
    {"APIConnectionError", "APITimeoutError", "ConnectionError", "TimeoutError", "TransportError", "ClientError"}
)


class RetryPolicy(BaseModel, frozen=True):
    """How often to try and how long to wait where the endpoint doesn't say: exponential, with jitter."""

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0


class SettingNames(BaseModel, frozen=True):
    """The settings that a user changes when an endpoint says no."""

    model: str
    base_url: str
    api_key: str


CHAT = SettingNames(model="TRIAGE_MODEL", base_url="TRIAGE_BASE_URL", api_key="OPENAI_API_KEY")
EMBEDDING = SettingNames(model="TRIAGE_EMBEDDING_MODEL", base_url="TRIAGE_EMBEDDING_BASE_URL", api_key="OPENAI_API_KEY")
DEFAULT_POLICY = RetryPolicy()


class UnusableReply(Exception):
    """A reply that makes no sense, such as a body that is not JSON: worth another try."""


async def call_with_retries(
    call: Callable[[], Awaitable[T]],
    deadline_s: float,
    *,
    policy: RetryPolicy = DEFAULT_POLICY,
    settings: SettingNames = CHAT,
    secret: str = "",
    gate: Gate | None = None,
    tokens: int = 0,
) -> tuple[T, int]:
    """The result of `call` and how many retries it took.

    Each try goes through `gate`, as a request of about so many `tokens`. The deadline counts from when the first try is
    let through, and is no later than the end of the `within` around it. Never waits past it: where the next wait would
    end after it, `ModelUnavailable` is raised at once.
    `secret` is kept out of every message.
    """
    if len(secret) < _SHORTEST_SECRET:
        secret = ""  # a placeholder such as "none", and a word that messages need
    tries = _Tries(call, deadline_s, policy, gate or Gate(), tokens)
    try:
        return await tries.result(), tries.made - 1
    except TriageError:
        raise
    except Exception as error:  # noqa: BLE001  each client library raises its own kinds
        cause = None if secret and secret in f"{error!r}{error}" else error
        raise _unavailable(error, tries.made, tries.allowed_s, settings, secret) from cause


class _Tries(Generic[T]):
    """The tries of one call. `made` counts them; `allowed_s` is how long they may take together."""

    def __init__(
        self, call: Callable[[], Awaitable[T]], deadline_s: float, policy: RetryPolicy, gate: Gate, tokens: int
    ) -> None:
        self._call = call
        self.allowed_s = deadline_s
        self._deadline = math.inf
        self._policy = policy
        self._gate = gate
        self._tokens = tokens
        self._asked_waits = 0
        self._clock = asyncio.get_running_loop().time
        self.made = 0

    async def result(self) -> T:
        try:
            return await self._try()
        except Exception as error:
            if not _is_transient(error):
                raise
            failed = [error]

        async def attempt() -> T:
            # Only what needs a retry pays for tenacity: it takes note of the first failure and goes on from there.
            if failed:
                raise failed.pop()
            return await self._try()

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=self._wait_s,
            stop=self._is_over,
            sleep=self._gate.pause,
            reraise=True,
        )
        result: T = await retrying(attempt)
        return result

    async def _try(self) -> T:
        async with self._gate.slot(self._tokens, is_retry=self.made > 0):
            if not self.made:
                now = self._clock()
                self.allowed_s = min(self.allowed_s, max(ends_at() - now, 0.0))
                self._deadline = now + self.allowed_s
            self.made += 1
            began = self._clock()
            # A try that hangs is given up while there is time for another one.
            async with asyncio.timeout_at(min(self._deadline, began + self._gate.patience_s)):
                result = await self._call()
        self._gate.took(self._clock() - began)
        self._gate.answered(was_refused=False)
        return result

    def _wait_s(self, state: tenacity.RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        is_refused = status_of(error) == _TOO_MANY if error else False
        asked = retry_after_s(_headers(error))
        self._gate.answered(was_refused=is_refused, asked_s=asked)
        # Waiting for as long as told is no failure: only the deadline bounds it.
        self._asked_waits += is_refused and asked is not None and asked >= _LONG_WAIT_S
        wait_s = _wait_s(asked, self.made, self._policy)
        tried(self.made, error, status_of(error) if error else None, wait_s)
        return wait_s

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        is_out_of_tries = self.made - self._asked_waits >= self._policy.attempts
        return is_out_of_tries or self._clock() + state.upcoming_sleep >= self._deadline


def status_of(error: BaseException) -> int | None:
    """The HTTP status that an error of any client library carries, if it carries one."""
    response = getattr(error, "response", None)
    for holder, field in ((error, "status_code"), (error, "code"), (error, "status"), (response, "status_code")):
        value = getattr(holder, field, None)
        if isinstance(value, int) and 100 <= value < 600:
            return int(value)
    return None


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """What `retry-after-ms` or `retry-after` (seconds or an HTTP date) asks for, in seconds from `now`."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return max(milliseconds / 1000, 0.0)
    value = headers.get("retry-after")
    seconds = _number(value)
    if seconds is not None:
        return max(seconds, 0.0)
    parsed = email.utils.parsedate_tz(value) if value else None
    if parsed is None:
        return None
    return max(email.utils.mktime_tz(parsed) - (time.time() if now is None else now), 0.0)


def _is_transient(error: BaseException) -> bool:
    if isinstance(error, TriageError):
        return False
    if isinstance(error, UnusableReply):
        return True
    status = status_of(error)
    if status == 429 and getattr(error, "code", None) == _EXHAUSTED:
        return False
    if status is not None:
        return is_transient_status(status)
    return any(kind.__name__ in _TRANSIENT_KINDS for kind in type(error).__mro__)


def _wait_s(asked: float | None, tries: int, policy: RetryPolicy) -> float:
    if asked is not None:
        # A little later than asked, so that clients told the same don't come back in step.
        return asked + random.uniform(0, min(0.1 * asked, 1.0))  # noqa: S311
    ceiling = min(policy.first_wait_s * 2 ** (tries - 1), policy.longest_wait_s)
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311


def _unavailable(
    error: Exception, attempts: int, deadline_s: float, settings: SettingNames, secret: str
) -> ModelUnavailable:
    status = status_of(error)
    detail = _explain(error, status, settings, deadline_s, secret)
    tries = f" ({attempts} tries)" if attempts > 1 else ""
    return ModelUnavailable(f"{detail}{tries}", status=status, attempts=attempts, **_cause(error, status))


def _cause(error: Exception, status: int | None) -> dict[str, str]:
    """What kind of failure it was where no status says so."""
    if status is not None:
        return {}
    if isinstance(error, UnusableReply):
        return {"cause": "unusable_reply"}
    is_timeout = "Timeout" in type(error).__name__ and not _failed_to_connect(error)
    return {"cause": "timeout" if is_timeout else "connection" if _is_transient(error) else "other"}


def _explain(error: Exception, status: int | None, settings: SettingNames, deadline_s: float, secret: str) -> str:
    if status is not None:
        said = f" It said: {_said(error, secret)}" if status != _WRONG_KEY else ""
        return _explain_status(error, status, settings, deadline_s) + said
    # A refused connection can come as a timeout: aiohttp's transport calls each failure to connect so.
    if "Timeout" in type(error).__name__ and not _failed_to_connect(error):
        return f"The model gave no answer within {deadline_s:.0f} s: allow more time or use a faster model."
    if _is_transient(error):
        return f"The model endpoint gave no usable answer: check {settings.base_url}. Cause: {_said(error, secret)}"
    return f"The model could not be called: {type(error).__name__}: {_said(error, secret)}"


def _failed_to_connect(error: BaseException) -> bool:
    return any(type(cause).__name__ in {"ConnectTimeout", "ConnectError"} for cause in (error, error.__cause__))


def _explain_status(error: Exception, status: int, settings: SettingNames, deadline_s: float) -> str:
    match status:
        case 401:
            return f"The model endpoint does not accept the key: set {settings.api_key} to a valid one."
        case 403:
            return f"The key may not use this model: check {settings.api_key} and {settings.model}."
        case 404:
            return f"The endpoint does not know this model or path: check {settings.model} and {settings.base_url}."
        case 429:
            asked = retry_after_s(_headers(error))
            wait = f" and asks to wait {asked:.0f} s of the {deadline_s:.0f} s allowed" if asked else ""
            return f"The model endpoint is over its rate limit or quota{wait}: try later or raise the quota."
        case _ if status >= 500:
            return f"The model endpoint failed with status {status}: try later, or check {settings.base_url}."
        case _:
            return f"The model endpoint refused the request with status {status}: check {settings.model}."


def _headers(error: BaseException | None) -> Mapping[str, str]:
    return getattr(getattr(error, "response", None), "headers", None) or {}


def _said(error: Exception, secret: str) -> str:
    body = getattr(error, "body", None)
    text = str(body["message"]) if isinstance(body, dict) and body.get("message") else str(error)
    inner = error.__cause__
    if inner is not None and text.rstrip(".").lower() in {"connection error", "request timed out", ""}:
        text = f"{text} ({inner})"
    if secret:
        text = text.replace(secret, "[key]")
    text = re.sub(r"\b(sk-|Bearer )\S+", "[key]", text)
    return " ".join(text.split())[:300]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
