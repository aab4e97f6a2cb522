"""The pace of all processes together towards one provider, reserved in small blocks from a book that they share."""

from __future__ import annotations

import asyncio
import logging
import math
from typing import NamedTuple, Protocol

from triage.domain.errors import ModelUnavailable
from triage.models.chat.deadline import ends_at
from triage.models.chat.gate import Bucket, Limits

_log = logging.getLogger(__name__)

BLOCK_S = 0.5
"""A block is what the limit brings in this time; what is not used of it within the same time is lost."""

_AHEAD_S = 30.0
_BOOK_WITHIN_S = 2.0
_WITHOUT_BOOK_S = 5.0
_COUNTED_EVERY_S = 60.0
_LONGEST_HOLD_S = 60.0


class Rate(NamedTuple):
    """A limit: so much of `measure` (requests or tokens) in a minute, and `burst` of it at once."""

    measure: str
    per_minute: int
    burst: float

    @property
    def interval_s(self) -> float:
        """Seconds from one to the next."""
        return 60 / self.per_minute


class PaceBook(Protocol):
    """Where all processes keep what they have asked of a provider. Raises whatever its database raises."""

    async def reserve(self, provider: str, rate: Rate, amount: float, ahead_s: float, owed: float) -> float | None:
        """Reserve `amount` after what is `owed` for before: seconds until it may be used.

        None, and nothing reserved, if that is over `ahead_s`.
        """
        ...

    async def hold(self, provider: str, rate: Rate, seconds: float) -> None:
        """Let nobody start before so many seconds are over."""
        ...

    async def processes(self) -> int:
        """How many processes are at work, at least 1."""
        ...


def reserved(
    full_at: float, now: float, amount: float, rate: Rate, ahead_s: float, owed: float = 0.0
) -> tuple[float, float] | None:
    """The generic cell rate algorithm, reserving ahead: the new `full_at` and the seconds to wait, or None.

    `full_at` is when the whole allowance is there again. What is larger than the burst waits until it is, and those
    after it wait the longer. (ITU-T I.371, annex A; the book does the same in one statement.)
    """
    after = max(full_at, now) + (amount + owed) * rate.interval_s
    wait_s = after - now - max(rate.burst, amount) * rate.interval_s
    return None if wait_s > ahead_s else (after, max(wait_s, 0.0))


class SharedPace:
    """The limits of one provider, kept by all processes together. In any minute they ask at most a second's worth more.

    Where the book can't be reached this process keeps to its share of the limits by itself, and tries the book again
    every few seconds.
    """

    def __init__(self, book: PaceBook, provider: str, limits: Limits) -> None:
        wanted = {"requests": limits.requests_per_minute, "tokens": limits.tokens_per_minute}
        self._measures = {name: _Measure(book, provider, name, limit) for name, limit in wanted.items() if limit}
        self._holding: set[asyncio.Task[None]] = set()

    async def take(self, tokens: int) -> None:
        """Wait until one request of about so many tokens may go. Raises `ModelUnavailable` if that is too late."""
        try:
            async with asyncio.timeout_at(end if math.isfinite(end := ends_at()) else None):
                for name, measure in self._measures.items():
                    await measure.take(1 if name == "requests" else tokens)
        except TimeoutError as error:
            raise _too_late() from error

    def settle(self, more_tokens: int) -> None:
        """Correct the estimate of a request, once its answer says how many tokens it took."""
        if "tokens" in self._measures:
            self._measures["tokens"].owed += more_tokens

    def hold(self, seconds: float) -> None:
        """The provider wants no request for so long: let no process make one."""
        for measure in self._measures.values():
            task = asyncio.create_task(measure.hold(min(seconds, _LONGEST_HOLD_S)))
            self._holding.add(task)
            task.add_done_callback(self._holding.discard)


class _Measure:
    """What this process has in hand of one measure. `owed` is what was used beyond what was taken."""

    def __init__(self, book: PaceBook, provider: str, name: str, per_minute: int) -> None:
        block = per_minute / 60 * BLOCK_S
        self._rate = Rate(name, per_minute, max(1.0, block))
        self._block = max(1, math.floor(block))
        self._book = book
        self._provider = provider
        self._in_hand = 0.0
        self._until = -math.inf
        self._turn = asyncio.Lock()
        self._processes = 1
        self._count_at = -math.inf
        self._alone: Bucket | None = None
        self._alone_until = -math.inf
        self.owed = 0.0

    async def take(self, amount: float) -> None:
        async with self._turn:
            if asyncio.get_running_loop().time() > self._until:
                self._in_hand = 0.0
            self._in_hand, self.owed = max(self._in_hand - self.owed, 0.0), max(self.owed - self._in_hand, 0.0)
            if self.owed or self._in_hand < amount:
                more, owed = max(self._block, amount - self._in_hand), self.owed
                wait_s = await self._reserve(more, owed)
                self.owed -= owed
                await asyncio.sleep(wait_s)
                self._in_hand += more
                self._until = asyncio.get_running_loop().time() + BLOCK_S
            self._in_hand -= amount

    async def hold(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(_BOOK_WITHIN_S):
                await self._book.hold(self._provider, self._rate, seconds)
        except Exception as error:  # noqa: BLE001  whatever the database raises: the next answer tells it again
            _log.warning("Other processes can't be told to wait for %s: %s", self._provider, error)

    async def _reserve(self, amount: float, owed: float) -> float:
        """Reserve `amount` and return the seconds until it may be used."""
        now = asyncio.get_running_loop().time
        while now() >= self._alone_until:
            ahead_s = min(max(ends_at() - now(), 0.0), _AHEAD_S)
            try:
                async with asyncio.timeout(_BOOK_WITHIN_S):
                    if now() >= self._count_at:
                        self._processes = await self._book.processes()
                        self._count_at = now() + _COUNTED_EVERY_S
                    wait_s = await self._book.reserve(self._provider, self._rate, amount, ahead_s, owed)
            except Exception as error:  # noqa: BLE001  whatever the database raises
                self._go_alone(error)
                break
            self._alone = None
            if wait_s is not None:
                return wait_s
            if ahead_s < _AHEAD_S:
                raise _too_late()
            await asyncio.sleep(1.0)
        if self._alone is None:
            return 0.0
        wait_s = self._alone.wait_s(amount, now())
        self._alone.take(amount + owed, now())
        return wait_s

    def _go_alone(self, error: Exception) -> None:
        share = max(1, self._rate.per_minute // max(self._processes, 1))
        if self._alone is None:
            self._alone = Bucket(share)
            _log.warning(
                "The shared pace of %s can't be kept (%s): this process keeps to %d %s per minute by itself.",
                self._provider, error or type(error).__name__, share, self._rate.measure,
            )  # fmt: skip
        self._alone_until = asyncio.get_running_loop().time() + _WITHOUT_BOOK_S


def _too_late() -> ModelUnavailable:
    return ModelUnavailable(
        "The rate limit that is set leaves no room for another request in time: raise TRIAGE_REQUESTS_PER_MINUTE or "
        "TRIAGE_TOKENS_PER_MINUTE if the provider allows more, or allow more time.",
        cause="own_limit",
    )
