"""The workflows behind the jobs, in DBOS: only this module talks to DBOS.

A workflow is named after its run, which is one attempt at one incident. It knows only the incident's id and the number
of the attempt, and it is idempotent: it triages and stores, unless the run's result is stored already. DBOS stores no
step results, so its tables never contain write-ups, quotes or labels, and two executions of one workflow that overlap
end in one stored triage.

**Versions.** DBOS gives a workflow only to processes with the workflow's own version. The version is therefore not the
release but a number for the workflow's shape: its name, its arguments and the meaning of its end. All releases with the
same number share a queue and take over each other's work. Change it with the shape only: workflows of the old number
are left to processes of the old release, and when those are gone the sweep queues their incidents again. (Release 0.1
stored the results of two steps. It and later releases run each other's workflows anyway: neither needs the other's.)
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import sqlalchemy
from dbos import DBOS, DBOSClient, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions, WorkflowStatus

from triage.observability import logs, spans
from triage.store import Pending

QUEUE = "triage"
WORKFLOW = "triage_incident"
WORKFLOW_VERSION = "triage-1"

ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
"""The final states of workflows."""

# Incident ids never contain it.
_ATTEMPT = "~"
_BATCH = 500
_CONNECTIONS = 6
# Where DBOS stores the trace of a workflow. Its own spans, which would read it, need the HTTP exporter.
_CARRIER = "dbos.otelContext"


Role = Literal["all", "api", "worker"]
"""An `api` process only queues jobs, a `worker` only runs them."""


class JobOptions(NamedTuple):
    """How jobs run.

    `concurrency` is how many incidents a process triages at a time. `crashes` is how often an attempt is restarted
    after its process died. `attempts` is how often an incident is tried if the pipeline fails: the first retry comes
    after `retry_s` seconds, each further one after four times as long. If the index is still unavailable after
    `patience_s`, the attempt is always retried. A process without a heartbeat for `dead_after_s` is dead, and others
    take over its work. New incidents are refused while more than `most_pending` are pending. Finished jobs are deleted
    after `kept_days`.
    """

    concurrency: int = 4
    polling_s: float = 0.1
    sweep_s: float = 15.0
    attempts: int = 3
    crashes: int = 5
    retry_s: float = 30.0
    role: Role = "all"
    patience_s: float = 10.0
    dead_after_s: float = 15.0
    most_pending: int = 10_000
    kept_days: float = 7.0

    @property
    def works(self) -> bool:
        """True if the process runs jobs, and does not only queue them."""
        return self.role != "api"


class Claimed(NamedTuple):
    """A workflow that a process (`executor`) has taken from the queue and not finished."""

    run_id: str
    executor: str


async def launch(
    database_url: str,
    executor: str,
    run: Callable[[str, int], Awaitable[None]],
    options: JobOptions,
) -> sqlalchemy.Engine | None:
    """Start DBOS in this process and on this event loop; one that works takes workflows from the queue.

    Returns the engine to dispose of after `DBOS.destroy`, if one was made. DBOS stores the concurrency with the queue:
    the worker that started last sets it for all.
    """
    # Without a handler of its own, DBOS would print to the console instead of following our logging.
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
    if not options.works:
        DBOS.listen_queues([])
    DBOS.workflow(name=WORKFLOW, max_recovery_attempts=options.crashes)(run)
    # Called inside the loop, so that DBOS runs its workflows here. On a loop of its own they could not use the
    # connections of the pipeline and the store.
    DBOS.launch()
    if options.works:
        await DBOS.register_queue_async(
            QUEUE,
            worker_concurrency=options.concurrency,
            polling_interval_sec=options.polling_s,
            on_conflict="always_update",
        )
    return engine


async def enqueue(pending: Pending) -> None:
    """Queue a run, in the current trace if there is one. Does nothing for one that is queued, running or finished."""
    options: EnqueueOptions = {
        "workflow_name": WORKFLOW,
        "queue_name": QUEUE,
        "workflow_id": run_id(pending),
        "app_version": WORKFLOW_VERSION,
    }
    if (context := spans.current_context()) is not None:
        options["otel_context"] = context
    await DBOS.enqueue_workflow_with_options_async(options, pending.id, pending.attempt)


@asynccontextmanager
async def traced(pending: Pending) -> AsyncIterator[None]:
    """A span for the whole job, in the trace of the request that posted it, and the incident's id in the log."""
    with logs.about_incident(pending.id):
        if not spans.is_on():
            yield
            return
        run = run_id(pending)
        attributes: dict[str, spans.Value | None] = {
            "dbos.operation.workflow_id": run,
            "triage.incident_id": pending.id,
            "triage.attempt": pending.attempt + 1,
        }
        with spans.span(WORKFLOW, attributes, kind="consumer", carrier=await carrier(run)):
            yield


async def carrier(workflow_id: str) -> Mapping[str, str]:
    """The trace that a job was queued with, as W3C Trace Context; empty without one."""
    # In a thread outside the workflow: inside, DBOS would record this call as a step, and a restart with telemetry
    # switched the other way would not find its steps.
    loop = asyncio.get_running_loop()
    status = await loop.run_in_executor(None, DBOS.get_workflow_status, workflow_id)
    attributes = cast("Mapping[str, object]", (status and status.attributes) or {})
    context = attributes.get(_CARRIER)
    return cast("Mapping[str, str]", context) if isinstance(context, dict) else {}


async def states(run_ids: Collection[str]) -> dict[str, str]:
    """Run id -> state of its workflow, for runs that have one."""
    return {each.workflow_id: each.status for each in await _find(workflow_ids=list(run_ids))}


async def claimed() -> list[Claimed]:
    """The workflows that processes have taken, alive or dead."""
    taken = await _find(status="PENDING", name=WORKFLOW)
    return [Claimed(each.workflow_id, each.executor_id or "") for each in taken]


async def hand_back(work: Iterable[Claimed]) -> int:
    """Put workflows back on the queue, unless another executor has them by now; returns how many.

    `DBOS.resume_workflow` would not count how often a workflow crashed its process, would take it from a new executor
    too, and would put it on a queue without a limit.
    """
    database = _system_database()
    count = 0
    for each in work:
        count += await asyncio.to_thread(database.reenqueue_for_recovery, each.run_id, [each.executor], QUEUE)
    return count


async def forget(incident_id: str) -> int:
    """Delete all workflows of an incident; returns how many."""
    first = await _find(workflow_ids=[incident_id])
    later = await _find(workflow_id_prefix=f"{incident_id}{_ATTEMPT}")
    own = [each.workflow_id for each in (*first, *later) if incident_of(each.workflow_id) == incident_id]
    if own:
        await DBOS.delete_workflows_async(own)
    return len(own)


async def forget_ended(before: datetime) -> int:
    """Delete the finished workflows that were queued before a moment; returns how many."""
    count, until = 0, before.isoformat()
    while ended := await _find(status=list(ENDED), name=WORKFLOW, end_time=until, limit=_BATCH):
        await DBOS.delete_workflows_async([each.workflow_id for each in ended])
        count += len(ended)
    return count


def run_id(pending: Pending) -> str:
    """The workflow's id: the incident's own for the first attempt."""
    return pending.id if pending.attempt == 0 else f"{pending.id}{_ATTEMPT}{pending.attempt + 1}"


def incident_of(run: str) -> str:
    """The incident of a run."""
    return run.partition(_ATTEMPT)[0]


async def _find(**criteria: Any) -> list[WorkflowStatus]:
    return await DBOS.list_workflows_async(**criteria, load_input=False, load_output=False)


def _system_database() -> Any:
    from dbos._dbos import _get_dbos_instance

    return _get_dbos_instance()._sys_db  # noqa: SLF001


def sqlite_engine(url: str) -> sqlalchemy.Engine | None:
    """An engine with a write-ahead log, which makes steps ten times faster. None for databases other than SQLite."""
    if not url.startswith("sqlite"):
        return None
    engine = sqlalchemy.create_engine(url)

    @sqlalchemy.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        # NORMAL may lose the last commits in a power cut, but not in a crash; the sweep then queues their incidents
        # again. Deleted content is overwritten.
        for pragma in (
            "busy_timeout=30000",
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine


def empty_log(engine: sqlalchemy.Engine) -> None:
    """Empty SQLite's write-ahead log, which may still contain deleted content."""
    with engine.connect() as connection:
        connection.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")


async def forget_jobs(system_database_url: str, incident_ids: Sequence[str]) -> None:
    """Delete the jobs of incidents from a process that runs no queue. A service may run in another one."""
    await asyncio.to_thread(_forget, system_database_url, incident_ids)


def _forget(system_database_url: str, incident_ids: Sequence[str]) -> None:
    url = sqlalchemy.make_url(system_database_url)
    url = url.set(drivername=url.get_backend_name())
    if url.get_backend_name() == "sqlite" and not Path(url.database or "").exists():
        return
    address = url.render_as_string(hide_password=False)
    engine = sqlite_engine(address)
    client = DBOSClient(
        system_database_url=address, system_database_engine=engine, serializer=DBOSPortableJSONSerializer(), lazy=True
    )
    try:
        for incident_id in incident_ids:
            first = client.list_workflows(workflow_ids=[incident_id], load_input=False, load_output=False)
            later = client.list_workflows(workflow_id_prefix=f"{incident_id}~", load_input=False, load_output=False)
            if ids := [status.workflow_id for status in (*first, *later)]:
                client.delete_workflows(ids)
    finally:
        client.destroy()
        if engine is not None:
            empty_log(engine)
            engine.dispose()
