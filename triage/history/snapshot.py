"""The examples to learn from, kept in memory until the history changes."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import NamedTuple

from triage.history import Example
from triage.history.duplicates import DuplicateFinder

LOOK_S = 2.0
"""How often it is looked whether another process changed the history."""

SETTLED_S = 5.0
"""So long after another process's change the examples are read once more: its index entry follows its commit."""

_KEPT = 8


class Snapshot(NamedTuple):
    """Examples, and what finds the near-duplicates among them."""

    examples: tuple[Example, ...]
    duplicates: DuplicateFinder


class Snapshots:
    """Snapshots by what they are of. A change in this process is seen at once, one in another within seconds."""

    def __init__(self) -> None:
        self.change: Callable[[], Awaitable[Hashable]] | None = None
        self._generation = 0
        self._elsewhere: Hashable = None
        self._looked = self._changed = float("-inf")
        self._is_settled = True
        self._kept: OrderedDict[Hashable, tuple[int, Snapshot]] = OrderedDict()
        self._turn = asyncio.Lock()

    def outdate(self) -> None:
        """The history changed: read it anew."""
        self._generation += 1

    def clear(self) -> None:
        """Let go of everything that is kept."""
        self._kept.clear()
        self.outdate()

    async def of(self, key: Hashable, read: Callable[[], Awaitable[tuple[Example, ...]]]) -> Snapshot:
        """The snapshot under `key`, read if it isn't there or is out of date."""
        async with self._turn:
            await self._look()
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

    async def _look(self) -> None:
        now = time.monotonic()
        if not self._is_settled and now - self._changed >= SETTLED_S:
            self._is_settled = True
            self.outdate()
        if self.change is None or now - self._looked < LOOK_S:
            return
        self._looked = now
        if (sign := await self.change()) != self._elsewhere:
            self._elsewhere, self._changed, self._is_settled = sign, now, False
            self.outdate()
