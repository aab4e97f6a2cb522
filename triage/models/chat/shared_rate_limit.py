"""A provider's rate limits, shared by all processes and reserved in small blocks from a common store."""

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
"""A block is what the limit allows in this time. What is left of it after the same time expires."""

_AHEAD_S = 30.0
_STORE_TIMEOUT_S = 2.0
_STORE_RETRY_S = 5.0
_COUNT_EVERY_S = 60.0
_LONGEST_HOLD_S = 60.0


class Rate(NamedTuple):
    """A limit of `per_minute` units of `measure` (requests or tokens), and `burst` units at once."""

    measure: str
    per_minute: int
    burst: float

    @property
    def interval_s(self) -> float:
        """Seconds from one unit to the next."""
        return 60 / self.per_minute


class RateLimitStore(Protocol):
    """What all processes have reserved of a provider's limits. Raises whatever its database raises."""

    async def reserve(self, provider: str, rate: Rate, amount: float, ahead_s: float, owed: float) -> float | None:
        """Reserve `amount`, after `owed` for earlier use. Returns the seconds until it may be used.

        Returns None, and reserves nothing, if that is over `ahead_s`. An amount larger than the burst waits until the
        whole allowance is available, and those after it wait longer. Source: generic cell rate algorithm, ITU-T I.371,
        annex A.
        """
        ...

    async def hold(self, provider: str, rate: Rate, seconds: float) -> None:
        """Let no process start a request for `seconds`."""
        ...

    async def processes(self) -> int:
        """How many processes are running, at least 1."""
        ...


class SharedRateLimit:
    """One provider's limits, kept by all processes together. A minute exceeds them at most by a second's worth.

    If the store can't be reached, this process keeps to its share of the limits, and tries the store again every few
    seconds. Implements the `RateLimiter` port.
    """

    def __init__(self, store: RateLimitStore, provider: str, limits: Limits) -> None:
        measures = {"requests": limits.requests_per_minute, "tokens": limits.tokens_per_minute}
        self._allowances = {name: _Allowance(store, provider, name, limit) for name, limit in measures.items() if limit}
        self._holding: set[asyncio.Task[None]] = set()

    async def take(self, tokens: int) -> None:
        """Wait until a request of about `tokens` may go. Raises `ModelUnavailable` if that is after the deadline."""
        try:
            async with asyncio.timeout_at(end if math.isfinite(end := ends_at()) else None):
                for name, allowance in self._allowances.items():
                    await allowance.take(1 if name == "requests" else tokens)
        except TimeoutError as error:
            raise _too_late() from error

    def settle(self, more_tokens: int) -> None:
        """Correct a request's estimate by the tokens that its answer used beyond it."""
        if "tokens" in self._allowances:
            self._allowances["tokens"].owed += more_tokens

    def hold(self, seconds: float) -> None:
        """Let no process make a request for `seconds`, because the provider asked to wait."""
        for allowance in self._allowances.values():
            task = asyncio.create_task(allowance.hold(min(seconds, _LONGEST_HOLD_S)))
            self._holding.add(task)
            task.add_done_callback(self._holding.discard)


class _Allowance:
    """What this process has reserved of one measure. `owed` is what was used beyond the reservations."""

    def __init__(self, store: RateLimitStore, provider: str, name: str, per_minute: int) -> None:
        block = per_minute / 60 * BLOCK_S
        self._rate = Rate(name, per_minute, max(1.0, block))
        self._block = max(1, math.floor(block))
        self._store = store
        self._provider = provider
        self._reserved = 0.0
        self._expires_at = -math.inf
        self._lock = asyncio.Lock()
        self._processes = 1
        self._count_at = -math.inf
        self._own_bucket: Bucket | None = None
        self._retry_store_at = -math.inf
        self.owed = 0.0

    async def take(self, amount: float) -> None:
        async with self._lock:
            if asyncio.get_running_loop().time() > self._expires_at:
                self._reserved = 0.0
            self._reserved, self.owed = max(self._reserved - self.owed, 0.0), max(self.owed - self._reserved, 0.0)
            if self.owed or self._reserved < amount:
                more, owed = max(self._block, amount - self._reserved), self.owed
                wait_s = await self._reserve(more, owed)
                self.owed -= owed
                await asyncio.sleep(wait_s)
                self._reserved += more
                self._expires_at = asyncio.get_running_loop().time() + BLOCK_S
            self._reserved -= amount

    async def hold(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._store.hold(self._provider, self._rate, seconds)
        except Exception as error:  # noqa: BLE001  each database raises its own kinds; the next answer asks again
            _log.warning("Can't make other processes wait for %s: %s", self._provider, error)

    async def _reserve(self, amount: float, owed: float) -> float:
        """Reserve `amount`. Returns the seconds until it may be used."""
        now = asyncio.get_running_loop().time
        while now() >= self._retry_store_at:
            ahead_s = min(max(ends_at() - now(), 0.0), _AHEAD_S)
            try:
                async with asyncio.timeout(_STORE_TIMEOUT_S):
                    if now() >= self._count_at:
                        self._processes = await self._store.processes()
                        self._count_at = now() + _COUNT_EVERY_S
                    wait_s = await self._store.reserve(self._provider, self._rate, amount, ahead_s, owed)
            except Exception as error:  # noqa: BLE001  each database raises its own kinds
                self._use_own_bucket(error)
                break
            self._own_bucket = None
            if wait_s is not None:
                return wait_s
            if ahead_s < _AHEAD_S:
                raise _too_late()
            await asyncio.sleep(1.0)
        if self._own_bucket is None:
            return 0.0
        wait_s = self._own_bucket.wait_s(amount, now())
        self._own_bucket.take(amount + owed, now())
        return wait_s

    def _use_own_bucket(self, error: Exception) -> None:
        share = max(1, self._rate.per_minute // max(self._processes, 1))
        if self._own_bucket is None:
            self._own_bucket = Bucket(share)
            _log.warning(
                "Can't share the rate limit of %s (%s): this process keeps to %d %s per minute.",
                self._provider, error or type(error).__name__, share, self._rate.measure,
            )  # fmt: skip
        self._retry_store_at = asyncio.get_running_loop().time() + _STORE_RETRY_S


def _too_late() -> ModelUnavailable:
    return ModelUnavailable(
        "The configured rate limit has no room for another request before the deadline: raise "
        "TRIAGE_REQUESTS_PER_MINUTE or TRIAGE_TOKENS_PER_MINUTE if the provider allows more, or allow more time.",
        cause="own_limit",
    )
