"""The way to one provider: bounds the requests in flight and their rate, and lets retries go before new requests."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol

from triage.models.chat import Request


class Limits(NamedTuple):
    """What a provider allows; None for no limit. Tokens are those of prompts and completions together."""

    at_once: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None


class Pace(Protocol):
    """A pace that a gate keeps together with others, see `SharedPace`."""

    async def take(self, tokens: int) -> None: ...

    def settle(self, more_tokens: int) -> None: ...

    def hold(self, seconds: float) -> None: ...


class Gate:
    """Every try of every call to a provider goes through its gate.

    A call holds a slot while its request is in flight and none while it waits for its next try, so that new requests
    use the time. `waiting` counts such calls, and `on_wait` is told of each. `retries` counts the tries beyond the
    first ones. Where over a third of the latest tries are refused as too many, fewer are let through at once until
    they are welcome again. A `pace` is kept on top of the limits; it is told of the waits that such refusals ask for.
    """

    def __init__(self, limits: Limits = Limits(), pace: Pace | None = None) -> None:  # noqa: B008  immutable
        self.limits = limits
        self.pace = pace
        self.in_flight = self.waiting = self.retries = 0
        self.on_wait: Callable[[], None] | None = None
        self._width = float(limits.at_once or 0)
        self._refused_share = 0.0
        self._narrow_again_at = 0.0
        self._took_s: deque[float] = deque(maxlen=_TIMED)
        self._requests = Bucket(limits.requests_per_minute) if limits.requests_per_minute else None
        self._tokens = Bucket(limits.tokens_per_minute) if limits.tokens_per_minute else None
        self._new: deque[_Ticket] = deque()
        self._again: deque[_Ticket] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._due: set[float] = set()

    def slot(self, tokens: int = 0, *, is_retry: bool = False) -> Slot:
        """A slot for one request of about so many tokens, as a context manager that waits for it."""
        return Slot(self, tokens, is_retry)

    async def pause(self, seconds: float) -> None:
        """What a call does between two tries: it waits, and others may go meanwhile."""
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

    def answered(self, *, was_refused: bool, asked_s: float | None = None) -> None:
        """Take note of an answer; `was_refused` if the provider said that it was one request too many.

        `asked_s` is how long it then asked to wait.
        """
        self._refused_share += (was_refused - self._refused_share) / _REMEMBERED
        if was_refused and asked_s and self.pace is not None and self._refused_share > _TOO_MANY:
            self.pace.hold(asked_s)
        most = self.limits.at_once
        if most is None:
            return
        if not was_refused:
            self._width = min(most, self._width + 1 / self._width)
        elif self._refused_share > _TOO_MANY and (now := asyncio.get_running_loop().time()) >= self._narrow_again_at:
            self._width = max(1.0, self._width / 2)
            self._narrow_again_at = now + _NARROWED_FOR_S

    def took(self, seconds: float) -> None:
        """Take note of how long a try that was answered took."""
        self._took_s.append(seconds)

    @property
    def patience_s(self) -> float:
        """After how long a try is taken for hanging: five times the slowest of the latest answers, at least 2 seconds.

        Without end until ten answers came.
        """
        if len(self._took_s) < _LEAST_TIMED:
            return math.inf
        return max(_LEAST_PATIENCE_S, _PATIENCE * max(self._took_s))

    def expected_tokens(self, request: Request) -> int:
        """About how many tokens the prompt of `request` has; 0 where nobody counts them."""
        if self._tokens is None and self.pace is None:
            return 0
        return sum(len(message.content) for message in request.messages) // _CHARACTERS_PER_TOKEN

    def settle(self, more_tokens: int) -> None:
        """Correct the estimate that a slot was taken with, once the answer says how many tokens it took."""
        if self._tokens is not None:
            self._tokens.take(more_tokens, asyncio.get_running_loop().time())
        if self.pace is not None:
            self.pace.settle(more_tokens)

    @property
    def longest_wait_s(self) -> float:
        """How long until the last of the waiting calls tries again."""
        return max(self._due) - asyncio.get_running_loop().time() if self._due else 0.0

    async def _enter(self, tokens: int, is_retry: bool) -> None:
        if not (self._again or self._new) and self._has_room() and self._rate_allows(tokens):
            self.in_flight += 1
            return
        ticket = _Ticket(tokens, asyncio.get_running_loop().create_future())
        (self._again if is_retry else self._new).append(ticket)
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
        """Let in who may: tries that were made before first, and each group in the order of its coming."""
        while queue := self._again or self._new:
            ticket = queue[0]
            if ticket.admitted.done():  # given up
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
        wanted = [(bucket, n) for bucket, n in ((self._requests, 1), (self._tokens, tokens)) if bucket is not None]
        wait_s = max(bucket.wait_s(n, now) for bucket, n in wanted)
        if wait_s > 0:
            if self._timer is None:
                self._timer = loop.call_later(wait_s, self._on_time)
            return False
        for bucket, n in wanted:
            bucket.take(n, now)
        return True

    def _on_time(self) -> None:
        self._timer = None
        self._admit()


_CHARACTERS_PER_TOKEN = 4
_REMEMBERED = 32
_TOO_MANY = 1 / 3
_NARROWED_FOR_S = 1.0
_TIMED, _LEAST_TIMED = 50, 10
_PATIENCE, _LEAST_PATIENCE_S = 5.0, 2.0


class Slot:
    """Holds a slot of a gate for the length of a block."""

    def __init__(self, gate: Gate, tokens: int, is_retry: bool) -> None:
        self._gate = gate
        self._tokens = tokens
        self._is_retry = is_retry

    async def __aenter__(self) -> None:
        if self._gate.pace is not None:
            await self._gate.pace.take(self._tokens)
        await self._gate._enter(self._tokens, self._is_retry)  # noqa: SLF001

    async def __aexit__(self, *_: object) -> None:
        self._gate._leave()  # noqa: SLF001


class _Ticket(NamedTuple):
    tokens: int
    admitted: asyncio.Future[None]


class Bucket:
    """A token bucket that holds what one second brings, at least one: in a minute at most that much over the limit.

    It can go into debt, so that what turns out dearer than estimated, or is larger than the bucket, delays what
    follows.
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
        # What rounding leaves would only make the caller come a moment too early.
        return missing / self._per_second if missing > _ROUNDING else 0.0

    def take(self, amount: float, now: float) -> None:
        self._fill(now)
        self._level = min(self._capacity, self._level - amount)

    def _fill(self, now: float) -> None:
        since = 0.0 if self._at is None else now - self._at
        self._level = min(self._capacity, self._level + since * self._per_second)
        self._at = now


_ROUNDING = 1e-9
