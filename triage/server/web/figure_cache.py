"""A cache for figures over the whole history, which are slow to compute and change slowly, and for drawn charts."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from datetime import UTC, datetime
from functools import lru_cache
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

from markupsafe import Markup

from triage.render.charts import Chart, as_figure

T = TypeVar("T")

_MAX_ENTRIES = 64


class Measured(NamedTuple, Generic[T]):
    """A value, the time at which its computation began (newer data is not in it), and the clock when it ended."""

    value: T
    at: datetime
    ended: float


class FigureCache:
    """Computed values of the pages of one app. Concurrent requests for the same value share one computation."""

    def __init__(self) -> None:
        self._tasks: OrderedDict[tuple[str, Hashable], asyncio.Task[Measured[Any]]] = OrderedDict()

    async def get(
        self, page: str, key: Hashable, compute: Callable[[], Awaitable[T]], seconds: float = 60.0
    ) -> Measured[T]:
        """The value computed in the last `seconds`, or a new one. Failures are not cached."""
        task = self._tasks.get((page, key))
        if task is None or _is_expired(task, seconds):
            task = self._tasks[page, key] = asyncio.ensure_future(_compute(compute))
            self._tasks.move_to_end((page, key))
            while len(self._tasks) > _MAX_ENTRIES:
                self._tasks.popitem(last=False)
        # A client that disconnects must not cancel the computation for the others.
        return await asyncio.shield(task)

    def forget(self, page: str) -> None:
        """Drop the page's values, since its data changed."""
        for key in [key for key in self._tasks if key[0] == page]:
            del self._tasks[key]


@lru_cache(maxsize=64)
def draw(chart: Chart) -> Markup:
    """The chart as a `<figure>`, cached. Drawing is slow: call it in a thread."""
    return as_figure(chart)


async def _compute(compute: Callable[[], Awaitable[T]]) -> Measured[T]:
    at = datetime.now(UTC)
    return Measured(await compute(), at, monotonic())


def _is_expired(task: asyncio.Task[Measured[Any]], seconds: float) -> bool:
    if not task.done():
        return False
    return task.cancelled() or task.exception() is not None or monotonic() - task.result().ended >= seconds
