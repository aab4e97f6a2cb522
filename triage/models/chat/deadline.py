"""One deadline for all model calls of an incident."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from triage.domain.errors import ModelUnavailable

GRACE_S = 0.5
"""A call that ignores its deadline is cancelled this long after it."""

_ends_at: ContextVar[float] = ContextVar("ends_at", default=math.inf)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """End all model calls in this block after `seconds`. Nested blocks can only shorten the time.

    Calls see the deadline and give up in time; a call that hangs is cancelled `GRACE_S` later. Raises
    `ModelUnavailable`.
    """
    loop = asyncio.get_running_loop()
    began = loop.time()
    end = min(began + seconds, _ends_at.get())
    token = _ends_at.set(end)
    try:
        async with asyncio.timeout_at(end + GRACE_S) as timeout:
            yield
    except TimeoutError as error:
        if not timeout.expired():
            raise
        raise ModelUnavailable(
            f"No answer within {loop.time() - began:.3g} s: allow more time or use a faster model.", cause="timeout"
        ) from error
    finally:
        _ends_at.reset(token)


def ends_at() -> float:
    """When the current `within` block ends, on the clock of the event loop; infinity outside of any block."""
    return _ends_at.get()
