"""The step that the work on an incident is at, told to whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("step listener", default=None)


@contextmanager
def told(listener: Callable[[str], None]) -> Iterator[None]:
    """Tell `listener` of each step that begins meanwhile in this task, and in those that it starts."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def begin(step: str) -> None:
    """Say that a step begins."""
    if (listener := _listener.get()) is not None:
        listener(step)
