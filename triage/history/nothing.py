"""No index at all, for bringing in much beside a service: what is stored leaves marks, and its index follows them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from triage.domain.triage_result import Neighbour
from triage.history import Example


class NoIndex:
    """A history that keeps and finds nothing."""

    is_durable = False

    def read_from(self, source: object) -> None: ...

    async def neighbours(self, *_args: Any, **_options: Any) -> list[Neighbour]:
        """None."""
        return []

    async def examples(self, *_args: Any, **_options: Any) -> Sequence[Example]:
        """None."""
        return ()

    async def remember(self, *_args: Any, **_options: Any) -> None: ...

    async def forget(self, incident_ids: Collection[str]) -> None: ...

    async def size(self) -> int:
        """Nothing."""
        return 0

    async def ids(self) -> AsyncIterator[list[str]]:
        """None."""
        none: list[list[str]] = []
        for portion in none:
            yield portion

    async def entries(self, *_args: Any, **_options: Any) -> dict[str, Any]:
        """None."""
        return {}

    async def clear(self) -> None: ...

    def close(self) -> None: ...
