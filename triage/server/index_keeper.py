"""A task that repairs the index after crashes and index outages."""

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
    """Repair the index periodically inside the block. Every serving or working process has one."""
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
            if repaired := await casebook.indexer.repair():
                _log.info("Repaired the index for %d incidents", repaired)
            is_failing = False
        except TriageError as error:
            # One warning for each outage.
            _log.log(logging.DEBUG if is_failing else logging.WARNING, "The index needs repair: %s", error.detail)
            is_failing = True
        except Exception:  # noqa: BLE001 - the next run may succeed
            _log.exception("The index could not be repaired; retrying in %s s", every_s)
