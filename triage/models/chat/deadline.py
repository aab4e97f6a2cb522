"""One deadline for everything that is asked for one incident, however many calls that takes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

from triage.domain.errors import ModelUnavailable

GRACE_S = 0.5
"""How long after its deadline a call that ignores it is cut off."""

_ends_at: ContextVar[float] = ContextVar("ends_at", default=math.inf)


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """All model calls in this block end `seconds` from now at the latest; of nested ones the earliest end counts.

    Calls know of it and give up in time; what hangs all the same is cut off `GRACE_S` later. Raises `ModelUnavailable`.
    """
    end = min(asyncio.get_running_loop().time() + seconds, _ends_at.get())
    token = _ends_at.set(end)
    try:
        async with asyncio.timeout_at(end + GRACE_S) as bound:
            yield
    except TimeoutError as error:
        if not bound.expired():
            raise
        raise ModelUnavailable(
            f"No answer within the {seconds:.3g} s that were allowed for it: allow more time or use a faster model.",
            cause="timeout",
        ) from error
    finally:
        _ends_at.reset(token)


def ends_at() -> float:
    """When the innermost `within` ends, on the clock of the event loop; infinite outside of any."""
    return _ends_at.get()
