"""Progress of long work, and the steps of one incident's triage as they begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Progress = Callable[[str, int, int], None]
"""Called with the name of the work, how much of it is done, and the total."""


def silent(_work: str, _done: int, _total: int) -> None:
    """Report nothing."""


_listener: ContextVar[Callable[[str], None] | None] = ContextVar("step listener", default=None)


@contextmanager
def observed_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Call `listener` with each step that begins in the block, in this task or in tasks that it starts."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def begin(step: str) -> None:
    """Report that a step begins."""
    if (listener := _listener.get()) is not None:
        listener(step)
