"""Figures over the whole history, kept for a short while, as they take long and change slowly."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime
from time import monotonic
from typing import Annotated, Any, Generic, NamedTuple, TypeVar, cast

from fastapi import Depends, Request

T = TypeVar("T")

_MOST = 64


class Measured(NamedTuple, Generic[T]):
    """What was made, and when that was begun: what is newer is not in it."""

    what: T
    at: datetime


class Kept:
    """What the pages of one app made. Who asks for something while it is being made waits for that one."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, Hashable], asyncio.Task[tuple[Measured[Any], float]]] = OrderedDict()

    async def get(
        self, page: str, of: Hashable, make: Callable[[], Awaitable[T]], seconds: float = 60.0
    ) -> Measured[T]:
        """What `make` finished for this page in the last `seconds`, or makes now. What failed is not kept."""
        task = self._kept.get((page, of))
        if task is None or _is_over(task, seconds):
            task = self._kept[page, of] = asyncio.ensure_future(_made(make))
            self._kept.move_to_end((page, of))
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        # Whoever goes away ends their own waiting and not the others'.
        measured, _ = await asyncio.shield(task)
        return measured

    def forget(self, page: str) -> None:
        """Make anew whatever this page asks for next: what it shows was changed."""
        for key in [key for key in self._kept if key[0] == page]:
            del self._kept[key]


async def _made(make: Callable[[], Awaitable[T]]) -> tuple[Measured[T], float]:
    """What is made, and the time on the clock when it was finished."""
    at = datetime.now(UTC)
    return Measured(await make(), at), monotonic()


def _is_over(task: asyncio.Task[tuple[Measured[Any], float]], seconds: float) -> bool:
    if not task.done():
        return False
    return task.cancelled() or task.exception() is not None or monotonic() - task.result()[1] >= seconds


def _kept_of(request: Request) -> Kept:
    return cast("Kept", request.app.state.kept)


KeptFigures = Annotated[Kept, Depends(_kept_of)]
