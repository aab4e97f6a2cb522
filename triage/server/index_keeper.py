"""A task that works off the index marks that processes left when they died, or while the index did not answer."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from triage.domain.errors import TriageError
from triage.history.casebook import Casebook

_log = logging.getLogger(__name__)

EVERY_S = 5.0


@contextlib.asynccontextmanager
async def index_keeper(casebook: Casebook, every_s: float = EVERY_S) -> AsyncIterator[None]:
    """Repair the index every so often for the length of the block. Each process that serves or works has one."""
    task = asyncio.create_task(_keep(casebook, every_s), name="index keeper")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _keep(casebook: Casebook, every_s: float) -> None:
    is_failing = False
    while True:
        await asyncio.sleep(every_s)
        try:
            if repaired := await casebook.repair():
                _log.info("The index was brought in line for %d incident(s).", repaired)
            is_failing = False
        except TriageError as error:
            # Told once, not every few seconds for as long as the index is away.
            _log.log(logging.DEBUG if is_failing else logging.WARNING, "The index waits: %s", error.detail)
            is_failing = True
        except Exception:  # noqa: BLE001 - whatever it was, the next look may succeed
            _log.exception("The index could not be repaired; it is tried again in %s s", every_s)
