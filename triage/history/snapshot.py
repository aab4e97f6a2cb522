"""The examples to learn from, cached until the history changes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from triage.history import Example
from triage.history.duplicates import DuplicateFinder

CHECK_S = 2.0
"""How often to check whether another process changed the history."""

SETTLED_S = 5.0
"""How long after another process's change to read again: its index entry follows its commit."""

_KEPT = 8


class Snapshot(NamedTuple):
    """Examples, and a finder of near-duplicates among them."""

    examples: tuple[Example, ...]
    duplicates: DuplicateFinder


class Snapshots:
    """Snapshots by key. A change in this process is seen at once, one in another process within seconds."""

    def __init__(self) -> None:
        self.change: Callable[[], Awaitable[Hashable]] | None = None
        self._generation = 0
        self._last_change: Hashable = None
        self._checked = self._changed = float("-inf")
        self._is_settled = True
        self._kept: OrderedDict[Hashable, tuple[int, Snapshot]] = OrderedDict()
        self._turn = asyncio.Lock()

    def outdate(self) -> None:
        """Mark all snapshots as out of date."""
        self._generation += 1

    def clear(self) -> None:
        """Drop all snapshots."""
        self._kept.clear()
        self.outdate()

    async def of(self, key: Hashable, read: Callable[[], Awaitable[tuple[Example, ...]]]) -> Snapshot:
        """The snapshot under `key`, read if it is missing or out of date."""
        async with self._turn:
            await self._check()
            generation = self._generation
            kept = self._kept.get(key)
            if kept is None or kept[0] != generation:
                examples = await read()
                finder = await asyncio.to_thread(DuplicateFinder, [example.text for example in examples])
                kept = self._kept[key] = generation, Snapshot(examples, finder)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(key)
            return kept[1]

    async def _check(self) -> None:
        now = time.monotonic()
        if not self._is_settled and now - self._changed >= SETTLED_S:
            self._is_settled = True
            self.outdate()
        if self.change is None or now - self._checked < CHECK_S:
            return
        self._checked = now
        if (change := await self.change()) != self._last_change:
            self._last_change, self._changed, self._is_settled = change, now, False
            self.outdate()
