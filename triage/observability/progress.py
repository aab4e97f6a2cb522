"""Progress of long work."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, int, int], None]
"""Called with the name of the work, how much of it is done, and the total."""


def silent(_work: str, _done: int, _total: int) -> None:
    """Report nothing."""
