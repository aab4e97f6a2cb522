"""How many requests one caller may make: token buckets in this process. N processes allow N times as much."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

_MOST_CALLERS = 10_000


class Standing(NamedTuple):
    """Where a caller stands after a request: whether it was allowed, how many more are at once, and seconds until the
    next one is and until all are."""

    is_allowed: bool
    per_minute: int
    remaining: int
    next_s: int
    full_s: int

    def headers(self, policy: str) -> dict[str, str]:
        """The header fields of draft-ietf-httpapi-ratelimit-headers (since draft 08: one List each), and `Retry-After`.

        `policy` names what is limited.
        """
        told = {
            "RateLimit-Policy": f'"{policy}";q={self.per_minute};w=60',
            "RateLimit": f'"{policy}";r={self.remaining};t={self.full_s}',
        }
        return told if self.is_allowed else told | {"Retry-After": str(self.next_s)}


class Allowances:
    """A bucket for each caller: it holds as many requests as a minute has, and fills evenly.

    Those who were not seen for longest are forgotten first; their buckets are mostly full again.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, caller: str, per_minute: int) -> Standing:
        """Take one request out of the caller's bucket, if there is one in it."""
        now, rate = self._clock(), per_minute / 60
        level, since = self._buckets.pop(caller, (float(per_minute), now))
        level = min(per_minute, level + (now - since) * rate)
        is_allowed = level >= 1
        level -= is_allowed
        self._buckets[caller] = level, now
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        return Standing(
            is_allowed,
            per_minute,
            int(level),
            max(1, math.ceil((1 - level) / rate)),
            math.ceil((per_minute - level) / rate),
        )
