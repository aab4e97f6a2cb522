"""The workflows that carry the triage, kept by DBOS: all that is said to DBOS is said here.

A workflow is named by its run, one attempt at one incident, and knows nothing but the incident's id and the number of
the attempt. It is one idempotent piece: it looks whether its run has its result stored, and if not triages and stores.
No step's result is kept by DBOS, so no write-up, quote or label is ever in its tables, and two executions of one
workflow that overlap end in one stored triage.

**Versions.** DBOS gives a workflow only to a process with the workflow's own version, so the version is no release but
a number for the workflow's shape: its name, its arguments and the meaning of its end. All releases with the same number
share a queue, older beside newer, and take up each other's work. It changes only with the shape; then the old number's
work is left to processes of the old release, and after those are gone the sweep finds its incidents by themselves.
(Release 0.1 kept the results of two steps. It and later ones run each other's workflows all the same: neither needs
what the other kept.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions

from triage.server.jobs.database import sqlite_engine
from triage.server.jobs.watch import carry
from triage.store import Pending

QUEUE = "triage"
WORKFLOW = "triage_incident"
WORKFLOW_VERSION = "triage-1"

ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
"""States of workflows that nobody works on any more."""

# Incident ids never hold it.
_ATTEMPT = "~"
_BATCH = 500
_CONNECTIONS = 6


class Claimed(NamedTuple):
    """A workflow that a process (`executor`) has taken from the queue and not ended."""

    run_id: str
    executor: str


async def launch(
    database_url: str,
    executor: str,
    run: Callable[[str, int], Awaitable[None]],
    *,
    works: bool,
    crashes: int,
    concurrency: int,
    polling_s: float,
) -> sqlalchemy.Engine | None:
    """Start DBOS in this process and on this event loop; if it `works`, it takes workflows from the queue.

    Returns the engine to dispose of after `DBOS.destroy`, if one was made. How many workflows one process takes at a
    time is kept beside the queue: the worker that started last decides for all.
    """
    # Without a handler of its own DBOS would print to the console instead of following our logging.
    logging.getLogger("dbos").addHandler(logging.NullHandler())
    engine = sqlite_engine(database_url)
    config: DBOSConfig = {
        "name": "triage",
        "system_database_url": database_url,
        "application_version": WORKFLOW_VERSION,
        "executor_id": executor,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "WARNING",
        "sys_db_pool_size": _CONNECTIONS,
    }
    if engine is not None:
        config["system_database_engine"] = engine
    DBOS(config=config)
    if not works:
        DBOS.listen_queues([])
    DBOS.workflow(name=WORKFLOW, max_recovery_attempts=crashes)(run)
    # Called from inside the loop, so that DBOS runs its workflows here and not on a loop of its own, where the
    # pipeline's and the store's connections could not be used.
    DBOS.launch()
    if works:
        await DBOS.register_queue_async(
            QUEUE, worker_concurrency=concurrency, polling_interval_sec=polling_s, on_conflict="always_update"
        )
    return engine


async def enqueue(pending: Pending) -> None:
    """Queue a run. Does nothing for one that is queued, running or ended."""
    options: EnqueueOptions = {
        "workflow_name": WORKFLOW,
        "queue_name": QUEUE,
        "workflow_id": run_id(pending),
        "app_version": WORKFLOW_VERSION,
    }
    await DBOS.enqueue_workflow_with_options_async(carry(options), pending.id, pending.attempt)


async def states(run_ids: Collection[str]) -> dict[str, str]:
    """Run id -> state of its workflow, for those that have one."""
    found = await DBOS.list_workflows_async(workflow_ids=list(run_ids), load_input=False, load_output=False)
    return {each.workflow_id: each.status for each in found}


async def claimed() -> list[Claimed]:
    """The workflows that some process, alive or dead, has taken."""
    found = await DBOS.list_workflows_async(status="PENDING", name=WORKFLOW, load_input=False, load_output=False)
    return [Claimed(each.workflow_id, each.executor_id or "") for each in found]


async def hand_back(work: Iterable[Claimed]) -> int:
    """Put workflows back on the queue, if the executor named with each still has it; returns how many.

    `DBOS.resume_workflow` would do so too, but not count how often a workflow brought its process down, take it from
    a process that has it by now, and put it on a queue without a limit.
    """
    database = _system_database()
    back = 0
    for each in work:
        back += await asyncio.to_thread(database.reenqueue_for_recovery, each.run_id, [each.executor], QUEUE)
    return back


async def forget(incident_id: str) -> int:
    """Delete every workflow of an incident; returns how many there were."""
    first = await DBOS.list_workflows_async(workflow_ids=[incident_id], load_input=False, load_output=False)
    later = await DBOS.list_workflows_async(
        workflow_id_prefix=f"{incident_id}{_ATTEMPT}", load_input=False, load_output=False
    )
    mine = [each.workflow_id for each in (*first, *later) if incident_of(each.workflow_id) == incident_id]
    if mine:
        await DBOS.delete_workflows_async(mine)
    return len(mine)


async def forget_ended(before: datetime) -> int:
    """Delete the workflows that were queued before then and have ended; returns how many."""
    gone, until = 0, before.isoformat()
    while found := await DBOS.list_workflows_async(
        status=list(ENDED), name=WORKFLOW, end_time=until, limit=_BATCH, load_input=False, load_output=False
    ):
        await DBOS.delete_workflows_async([each.workflow_id for each in found])
        gone += len(found)
    return gone


def run_id(pending: Pending) -> str:
    """The workflow's id: the incident's own for the first attempt."""
    return pending.id if pending.attempt == 0 else f"{pending.id}{_ATTEMPT}{pending.attempt + 1}"


def incident_of(run: str) -> str:
    """The incident that a run is of."""
    return run.partition(_ATTEMPT)[0]


def _system_database() -> Any:
    from dbos._dbos import _get_dbos_instance

    return _get_dbos_instance()._sys_db  # noqa: SLF001
