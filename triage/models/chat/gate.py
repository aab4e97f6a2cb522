"""The gate to a provider: limits the requests in flight and their rate, and lets retries go before new requests."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple, Protocol

from triage.models.chat import Request

_CHARACTERS_PER_TOKEN = 4
_ANSWERS_REMEMBERED = 32
_CROWDED_SHARE = 1 / 3
_NARROWED_FOR_S = 1.0
_DURATIONS, _LEAST_DURATIONS = 50, 10
_HANG_FACTOR, _LEAST_HANG_TIMEOUT_S = 5.0, 2.0
_ROUNDING = 1e-9


class Limits(NamedTuple):
    """A provider's limits; None for no limit. Tokens are those of prompts plus completions."""

    at_once: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class RateLimiter(Protocol):
    """A rate limit that a gate shares with other processes, see `SharedRateLimit`."""

    async def take(self, tokens: int) -> None: ...

    def settle(self, more_tokens: int) -> None: ...

    def hold(self, seconds: float) -> None: ...


class Gate:
    """Every try of every call to a provider goes through its gate.

    A call holds a slot while its request is in flight, and none while it waits for its next try, so that new requests
    use the time. `waiting` counts the waiting calls, and `on_wait` is called for each. `retries` counts the tries
    beyond the first. If over a third of the latest tries were rate-limited, fewer are let through at once until the
    provider accepts more. A `shared` rate limit applies on top of the limits, and learns of the waits that the
    provider asks for.
    """

    def __init__(self, limits: Limits = Limits(), shared: RateLimiter | None = None) -> None:  # noqa: B008  immutable
        self.limits = limits
        self.shared = shared
        self.in_flight = self.waiting = self.retries = 0
        self.on_wait: Callable[[], None] | None = None
        self._width = float(limits.at_once or 0)
        self._limited_share = 0.0
        self._narrow_again_at = 0.0
        self._durations: deque[float] = deque(maxlen=_DURATIONS)
        self._requests = Bucket(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = Bucket(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._new_queue: deque[_Ticket] = deque()
        self._retry_queue: deque[_Ticket] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due: set[float] = set()

    @asynccontextmanager
    async def slot(self, tokens: int = 0, *, is_retry: bool = False) -> AsyncIterator[None]:
        """Wait for a slot for one request of about `tokens`, and hold it during the block."""
        if self.shared is not None:
            await self.shared.take(tokens)
        await self._enter(tokens, is_retry)
        try:
            yield
        finally:
            self._leave()

    async def pause(self, seconds: float) -> None:
        """Wait between two tries of a call, while other calls may go."""
        self.waiting += 1
        self.retries += 1
        due = asyncio.get_running_loop().time() + seconds
        self._due.add(due)
        if self.on_wait is not None:
            self.on_wait()
        try:
            await asyncio.sleep(seconds)
        finally:
            self._due.discard(due)
            self.waiting -= 1

    def record_answer(self, *, is_rate_limited: bool, retry_after_s: float | None = None) -> None:
        """Record that the provider answered, or asked for fewer requests and to wait for `retry_after_s`."""
        self._limited_share += (is_rate_limited - self._limited_share) / _ANSWERS_REMEMBERED
        is_crowded = is_rate_limited and self._limited_share > _CROWDED_SHARE
        if is_crowded and retry_after_s and self.shared is not None:
            self.shared.hold(retry_after_s)
        most = self.limits.at_once
        if most is None:
            return
        if not is_rate_limited:
            self._width = min(most, self._width + 1 / self._width)
        elif is_crowded and (now := asyncio.get_running_loop().time()) >= self._narrow_again_at:
            self._width = max(1.0, self._width / 2)
            self._narrow_again_at = now + _NARROWED_FOR_S

    def record_duration(self, seconds: float) -> None:
        """Record how long an answered try took."""
        self._durations.append(seconds)

    @property
    def hang_timeout_s(self) -> float:
        """A try that takes longer hangs: five times the slowest of the latest answers, at least 2 seconds.

        Infinite before ten answers.
        """
        if len(self._durations) < _LEAST_DURATIONS:
            return math.inf
        return max(_LEAST_HANG_TIMEOUT_S, _HANG_FACTOR * max(self._durations))

    def estimate_tokens(self, request: Request) -> int:
        """About how many tokens the prompt has; 0 if nobody limits tokens."""
        if self._tokens is None and self.shared is None:
            return 0
        return sum(len(message.content) for message in request.messages) // _CHARACTERS_PER_TOKEN

    def settle(self, more_tokens: int) -> None:
        """Correct a slot's estimate by the tokens that the answer used beyond it."""
        if self._tokens is not None:
            self._tokens.take(more_tokens, asyncio.get_running_loop().time())
        if self.shared is not None:
            self.shared.settle(more_tokens)

    @property
    def longest_wait_s(self) -> float:
        """Seconds until the last of the waiting calls tries again."""
        return max(self._due) - asyncio.get_running_loop().time() if self._due else 0.0

    async def _enter(self, tokens: int, is_retry: bool) -> None:
        if not (self._retry_queue or self._new_queue) and self._has_room() and self._rate_allows(tokens):
            self.in_flight += 1
            return
        ticket = _Ticket(tokens, asyncio.get_running_loop().create_future())
        (self._retry_queue if is_retry else self._new_queue).append(ticket)
        self._admit()
        try:
            await ticket.admitted
        except asyncio.CancelledError:
            if not ticket.admitted.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        self.in_flight -= 1
        self._admit()

    def _admit(self) -> None:
        """Admit waiting requests: retries first, each queue in its order."""
        while queue := self._retry_queue or self._new_queue:
            ticket = queue[0]
            if ticket.admitted.done():  # cancelled
                queue.popleft()
                continue
            if not self._has_room() or not self._rate_allows(ticket.tokens):
                return
            queue.popleft()
            self.in_flight += 1
            ticket.admitted.set_result(None)

    def _has_room(self) -> bool:
        return self.limits.at_once is None or self.in_flight < int(self._width)

    def _rate_allows(self, tokens: int) -> bool:
        if self._requests is None and self._tokens is None:
            return True
        loop = asyncio.get_running_loop()
        now = loop.time()
        needs = [(bucket, n) for bucket, n in ((self._requests, 1), (self._tokens, tokens)) if bucket is not None]
        wait_s = max(bucket.wait_s(n, now) for bucket, n in needs)
        if wait_s > 0:
            if self._timer is None:
                self._timer = loop.call_later(wait_s, self._on_time)
            return False
        for bucket, n in needs:
            bucket.take(n, now)
        return True

    def _on_time(self) -> None:
        self._timer = None
        self._admit()


class _Ticket(NamedTuple):
    tokens: int
    admitted: asyncio.Future[None]


class Bucket:
    """A token bucket with a capacity of one second's worth, at least one: a minute exceeds the limit at most by that.

    Its level may be negative: an amount larger than its estimate or than the capacity delays what follows.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_second = per_minute / 60
        self._capacity = max(1.0, self._per_second)
        self._level = self._capacity
        self._at: float | None = None

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until `amount` may be taken."""
        self._fill(now)
        missing = min(amount, self._capacity) - self._level
        # A rounding error would only make the caller come a moment too early.
        return missing / self._per_second if missing > _ROUNDING else 0.0

    def take(self, amount: float, now: float) -> None:
        self._fill(now)
        self._level = min(self._capacity, self._level - amount)

    def _fill(self, now: float) -> None:
        since = 0.0 if self._at is None else now - self._at
        self._level = min(self._capacity, self._level + since * self._per_second)
        self._at = now
