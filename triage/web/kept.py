"""Figures over the whole history, kept for a short while, as they take long and change slowly."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

T = TypeVar("T")

_MOST = 32


class Kept(Generic[T]):
    """What was made under a key, for `seconds`. Who asks for it while it is being made waits for that one."""

    def __init__(self, seconds: float = 60.0) -> None:
        self._seconds = seconds
        self._kept: OrderedDict[Hashable, tuple[float, asyncio.Task[T]]] = OrderedDict()

    async def get(self, key: Hashable, make: Callable[[], Awaitable[T]]) -> T:
        """What `make` made for `key` lately, or makes now. What failed is not kept."""
        moment, task = self._kept.get(key, (float("-inf"), None))
        if task is None or time.monotonic() - moment >= self._seconds or (task.done() and _failed(task)):
            task = asyncio.ensure_future(_made(make))
            self._kept[key] = time.monotonic(), task
            self._kept.move_to_end(key)
            while len(self._kept) > _MOST:
                self._kept.popitem(last=False)
        # Whoever goes away ends their own waiting and not the others'.
        return await asyncio.shield(task)


async def _made(make: Callable[[], Awaitable[T]]) -> T:
    return await make()


def _failed(task: asyncio.Task[T]) -> bool:
    return task.cancelled() or task.exception() is not None
