"""The pace of a run on the terminal, four times a second, however fast cases finish."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from triage.cli.terminal import Watch

if TYPE_CHECKING:
    from triage.evaluation.run_progress import RunProgress
    from triage.observability.progress import Progress

_EVERY_S = 0.25
_CASES = "Running the cases"


@contextlib.contextmanager
def shown(pace: RunProgress, watch: Watch) -> Iterator[Progress]:
    """Show on `watch` what the yielded progress is told, with the rate, the cost and the end in sight."""

    def progress(work: str, done: int, total: int) -> None:
        if work == "history":
            watch("Embedding the history", done, total)
            return
        is_first = not pace.total
        pace.reached(done, total)
        if is_first:
            watch(_CASES, done, total)

    async def show() -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            if pace.done < pace.total:
                watch(_CASES, pace.done, pace.total, str(pace))

    showing = asyncio.create_task(show())
    try:
        yield progress
    finally:
        showing.cancel()
        if pace.total:
            watch(_CASES, pace.done, pace.total, str(pace))
