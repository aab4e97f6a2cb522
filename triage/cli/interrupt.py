"""Ctrl-C on work whose finished part is worth showing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator
from types import FrameType
from typing import Any

from triage.cli.terminal import INTERRUPTED, messages


class Interrupt:
    """Whether the work was interrupted."""

    happened = False


@contextlib.contextmanager
def interruptible() -> Iterator[Interrupt]:
    """Within it the first Ctrl-C ends the block, which is then said in what is yielded, and a second ends the process
    at once, even where threads are still at work.
    """
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    interrupt = Interrupt()

    def first(_signal: int, _frame: FrameType | None) -> None:
        interrupt.happened = True
        signal.signal(signal.SIGINT, _end)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)

    before: Any = signal.signal(signal.SIGINT, first)
    try:
        yield interrupt
    except asyncio.CancelledError:
        if not interrupt.happened or task is None:
            raise
        task.uncancel()
    finally:
        signal.signal(signal.SIGINT, _end if interrupt.happened else before)


def _end(_signal: int, _frame: FrameType | None) -> None:
    messages().show_cursor()
    os._exit(INTERRUPTED)
