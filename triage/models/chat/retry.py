"""The one retry layer for remote models: what to try again, how long to wait, and when to give up.

It judges errors by HTTP status and kind, not by a library's classes, so it serves every client library.
"""

from __future__ import annotations

import asyncio
import email.utils
import math
import random
import re
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Generic, TypeVar, cast

import tenacity
from pydantic import BaseModel

from triage.domain.errors import ModelUnavailable, TriageError
from triage.models.chat import Reply, Request, is_transient_status
from triage.models.chat.deadline import ends_at
from triage.models.chat.gate import Gate
from triage.models.chat.tracing import record_failed_try

T = TypeVar("T")

_QUOTA_EXHAUSTED = "insufficient_quota"
_LONG_WAIT_S = 1.0
_SHORTEST_SECRET = 8
_TRANSIENT_KINDS = frozenset(
    {"APIConnectionError", "APITimeoutError", "ConnectionError", "TimeoutError", "TransportError", "ClientError"}
)


class RetryPolicy(BaseModel, frozen=True):
    """How often to try, and how long to wait if the endpoint doesn't say: exponential backoff with jitter."""

    attempts: int = 6
    first_wait_s: float = 0.5
    longest_wait_s: float = 10.0


class SettingNames(BaseModel, frozen=True):
    """The settings that error messages tell users to check."""

    model: str
    base_url: str
    api_key: str


CHAT = SettingNames(model="TRIAGE_MODEL", base_url="TRIAGE_BASE_URL", api_key="OPENAI_API_KEY")
EMBEDDING = SettingNames(model="TRIAGE_EMBEDDING_MODEL", base_url="TRIAGE_EMBEDDING_BASE_URL", api_key="OPENAI_API_KEY")


class UnusableReply(Exception):
    """A reply that can't be read, such as a body that is not JSON. It is worth another try."""


class Retries:
    """Calls one endpoint with retries by `policy`, each try through `gate`.

    Error messages name `settings`, and never contain `secret`.
    """

    def __init__(
        self,
        policy: RetryPolicy | None = None,
        gate: Gate | None = None,
        settings: SettingNames = CHAT,
        secret: str = "",
    ) -> None:
        self.policy = policy or RetryPolicy()
        self.gate = gate or Gate()
        self._settings = settings
        # A short secret is a placeholder such as "none", which messages may contain.
        self._secret = secret if len(secret) >= _SHORTEST_SECRET else ""

    async def call(
        self, call: Callable[[], Awaitable[T]], deadline_s: float, expected_tokens: int = 0
    ) -> tuple[T, int]:
        """The result of `call`, and how many retries it took.

        The deadline starts when the gate admits the first try, and ends no later than the surrounding `within` block.
        Raises `ModelUnavailable`, at once if the next wait would end after the deadline.
        """
        tries = _Tries(self, call, deadline_s, expected_tokens)
        try:
            return await tries.result(), tries.made - 1
        except TriageError:
            raise
        except Exception as error:  # noqa: BLE001  each client library raises its own kinds
            cause = None if self._secret and self._secret in f"{error!r}{error}" else error
            raise self._unavailable(error, tries.made, tries.allowed_s) from cause

    async def complete(self, ask: Callable[[], Awaitable[Reply]], request: Request) -> Reply:
        """The reply of `ask` to `request`, with its number of retries. The gate learns how many tokens it used."""
        expected = self.gate.estimate_tokens(request)
        reply, retries = await self.call(ask, request.deadline_s, expected)
        self.gate.settle(reply.prompt_tokens + reply.completion_tokens - expected)
        return reply.model_copy(update={"retries": retries}) if retries else reply

    def _unavailable(self, error: Exception, attempts: int, allowed_s: float) -> ModelUnavailable:
        status, message = status_of(error), _message(error, self._secret)
        tries = f" ({attempts} tries)" if attempts > 1 else ""
        if status is not None:
            # A rejected key may be quoted in the answer.
            answer = f" Its answer: {message}" if status != 401 else ""
            detail = _explain_status(error, status, self._settings, allowed_s)
            return ModelUnavailable(f"{detail}{answer}{tries}", status=status, attempts=attempts)
        cause = _cause(error)
        detail = {
            "timeout": f"The model gave no answer within {allowed_s:.0f} s: allow more time or use a faster model.",
            "other": f"The model could not be called: {type(error).__name__}: {message}",
        }.get(cause, f"The model endpoint gave no usable answer: check {self._settings.base_url}. Cause: {message}")
        return ModelUnavailable(f"{detail}{tries}", status=None, attempts=attempts, cause=cause)


class _Tries(Generic[T]):
    """The tries of one call. `made` counts them; `allowed_s` is how long they may take together."""

    def __init__(
        self, retries: Retries, call: Callable[[], Awaitable[T]], deadline_s: float, expected_tokens: int
    ) -> None:
        self._call = call
        self.allowed_s = deadline_s
        self._deadline = math.inf
        self._policy = retries.policy
        self._gate = retries.gate
        self._tokens = expected_tokens
        self._requested_waits = 0
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
            # Tenacity starts from the failure that has just happened: calls that succeed don't pay for it.
            if failed:
                raise failed.pop()
            return await self._try()

        retrying = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(_is_transient),
            wait=self._next_wait_s,
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
            start = self._clock()
            # A try that hangs ends early, while there is time for another one.
            async with asyncio.timeout_at(min(self._deadline, start + self._gate.hang_timeout_s)):
                result = await self._call()
        self._gate.record_duration(self._clock() - start)
        self._gate.record_answer(is_rate_limited=False)
        return result

    def _next_wait_s(self, state: tenacity.RetryCallState) -> float:
        error = cast("Exception", state.outcome.exception() if state.outcome else None)
        status, requested_s = status_of(error), retry_after_s(_headers(error))
        is_rate_limited = status == 429
        self._gate.record_answer(is_rate_limited=is_rate_limited, retry_after_s=requested_s)
        # A wait that a rate limit asks for counts as no attempt: only the deadline bounds it.
        self._requested_waits += is_rate_limited and requested_s is not None and requested_s >= _LONG_WAIT_S
        wait_s = _jittered_wait_s(requested_s, self.made, self._policy)
        record_failed_try(self.made, error, status, wait_s)
        return wait_s

    def _is_over(self, state: tenacity.RetryCallState) -> bool:
        is_out_of_tries = self.made - self._requested_waits >= self._policy.attempts
        return is_out_of_tries or self._clock() + state.upcoming_sleep >= self._deadline


def status_of(error: BaseException) -> int | None:
    """The HTTP status of any client library's error, or None."""
    response = getattr(error, "response", None)
    for holder, field in ((error, "status_code"), (error, "code"), (error, "status"), (response, "status_code")):
        value = getattr(holder, field, None)
        if isinstance(value, int) and 100 <= value < 600:
            return int(value)
    return None


def retry_after_s(headers: Mapping[str, str], now: float | None = None) -> float | None:
    """Seconds from `now` in the header `retry-after-ms` or `retry-after` (seconds or an HTTP date), or None."""
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
    if status == 429 and getattr(error, "code", None) == _QUOTA_EXHAUSTED:
        return False
    if status is not None:
        return is_transient_status(status)
    return any(kind.__name__ in _TRANSIENT_KINDS for kind in type(error).__mro__)


def _jittered_wait_s(requested_s: float | None, tries: int, policy: RetryPolicy) -> float:
    if requested_s is not None:
        # Slightly longer than requested, so that clients don't all come back at the same moment.
        return requested_s + random.uniform(0, min(0.1 * requested_s, 1.0))  # noqa: S311
    ceiling = min(policy.first_wait_s * 2 ** (tries - 1), policy.longest_wait_s)
    return random.uniform(ceiling / 2, ceiling)  # noqa: S311


def _cause(error: Exception) -> str:
    """The kind of an error without a status."""
    if isinstance(error, UnusableReply):
        return "unusable_reply"
    # aiohttp reports a refused connection as a timeout.
    is_refused = any(type(each).__name__ in {"ConnectTimeout", "ConnectError"} for each in (error, error.__cause__))
    if "Timeout" in type(error).__name__ and not is_refused:
        return "timeout"
    return "connection" if _is_transient(error) else "other"


def _explain_status(error: Exception, status: int, settings: SettingNames, deadline_s: float) -> str:
    match status:
        case 401:
            return f"The model endpoint does not accept the key: set {settings.api_key} to a valid one."
        case 403:
            return f"The key may not use this model: check {settings.api_key} and {settings.model}."
        case 404:
            return f"The endpoint does not know this model or path: check {settings.model} and {settings.base_url}."
        case 429:
            requested_s = retry_after_s(_headers(error))
            wait = f" and asks to wait {requested_s:.0f} s of the {deadline_s:.0f} s allowed" if requested_s else ""
            return f"The model endpoint is over its rate limit or quota{wait}: try later or raise the quota."
        case _ if status >= 500:
            return f"The model endpoint failed with status {status}: try later, or check {settings.base_url}."
        case _:
            return f"The model endpoint refused the request with status {status}: check {settings.model}."


def _headers(error: BaseException) -> Mapping[str, str]:
    return getattr(getattr(error, "response", None), "headers", None) or {}


def _message(error: Exception, secret: str) -> str:
    """The error's own message in at most 300 characters, without keys."""
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
