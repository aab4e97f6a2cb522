"""Durable triage: what was accepted is triaged exactly once, whatever crashes in between. DBOS workflows on a queue."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, NamedTuple, Protocol

import sqlalchemy
from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, EnqueueOptions

from triage.errors import MisconfiguredService, TriageError
from triage.incident import Incident
from triage.steps import told
from triage.store import Pending, Store, StoredIncident
from triage.triage_result import Triage

_log = logging.getLogger(__name__)

QUEUE = "triage"
WORKFLOW = "triage_incident"
# Work left by a process of another version is not picked up: change this only with the steps of the workflow, and
# keep the old steps until nothing of the old version is left.
WORKFLOW_VERSION = "triage-1"

_ENDED = ("SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_REASON_CHARACTERS = 500


class Runs(Protocol):
    """What triages one incident: the pipeline."""

    async def run(self, incident: Incident) -> Triage: ...


class JobOptions(NamedTuple):
    """How the queue is worked off.

    `crashes` is how often one attempt may be started again after the process died in it; `attempts` is how often an
    incident is tried when the pipeline fails, the first after `retry_s` seconds, each later one after four times as
    long. One `executor` works on a database at a time: another process with the same name would take its work.
    """

    concurrency: int = 4
    polling_s: float = 0.1
    sweep_s: float = 15.0
    attempts: int = 3
    crashes: int = 5
    retry_s: float = 30.0
    executor: str = "embedded"


class Jobs:
    """The queue of incidents that wait for their triage, and the workers on it. One per process, on one event loop.

    The incident is stored first and enqueued then; `sweep` finds those for which the second did not happen.
    `system_database_url` is where DBOS keeps its own tables: an SQLite file of its own, or the PostgreSQL of the store.
    """

    # DBOS is one per process.
    _active: ClassVar[Jobs | None] = None

    def __init__(
        self, store: Store, pipeline: Runs, system_database_url: str, options: JobOptions | None = None
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        url = sqlalchemy.make_url(system_database_url)
        self._url = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)
        self._options = options or JobOptions()
        self._engine: sqlalchemy.Engine | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._steps: dict[str, str] = {}
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._is_started = False

    @property
    def is_running(self) -> bool:
        """True between `start` and `stop`, as long as the sweep is alive."""
        return self._is_started and self._sweeper is not None and not self._sweeper.done()

    async def start(self) -> None:
        """Take up the work that was left, and start on the queue. Call on the event loop that the pipeline lives on."""
        if Jobs._active is not None:
            raise MisconfiguredService("This process works on a queue already: stop that one first.")
        Jobs._active = self
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop at once. What is running is taken up again at the next start."""
        if Jobs._active is not self:
            return
        self._is_started = False
        tasks = [task for task in (self._sweeper, *self._running) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        # DBOS makes its own pool the loop's default and then closes it: others still need one.
        loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        if self._engine is not None:
            self._engine.dispose()
        Jobs._active = None

    async def enqueue(self, incident_id: str) -> None:
        """Queue a stored incident. Does nothing for one that is queued, running or done."""
        stored = await self._store.incident(incident_id)
        if stored.status != "pending":
            return
        try:
            await self._enqueue(Pending(incident_id, stored.attempts))
        except Exception:  # noqa: BLE001 - it is safely stored all the same, and whoever posted it need not know
            _log.exception("Could not queue %s; the next sweep will", incident_id)

    def enqueue_soon(self, incident_ids: Sequence[str]) -> None:
        """Queue stored incidents without being waited for. What a crash cuts off is left to the sweep."""
        task = asyncio.create_task(self._enqueue_all(incident_ids), name="enqueue")
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def phase(self, stored: StoredIncident) -> str:
        """What a pending incident is at: `queued`, `running`, or the step of it where this process does the work."""
        incident_id = stored.incident.id
        if incident_id in self._steps:
            return self._steps[incident_id]
        run = await DBOS.get_workflow_status_async(_run_id(Pending(incident_id, stored.attempts)))
        return "running" if run is not None and run.status == "PENDING" else "queued"

    async def wait(self, incident_id: str, timeout_s: float) -> None:
        """Return when the incident is no longer pending, or after `timeout_s`, whichever is first."""
        with self.noticed(incident_id) as event, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while (await self._store.incident(incident_id)).status == "pending":
                    # Now and then it is looked at even without a notice: another process may have done the work.
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(event.wait(), 1.0)
                    event.clear()

    async def sweep(self) -> int:
        """Queue every pending incident that has no workflow, and fail those whose workflow ended without a result.

        Returns how many it queued.
        """
        await self._store.rearm(datetime.now(UTC))
        queued, after = 0, None
        while pending := await self._store.pending(after):
            by_run = {_run_id(each): each for each in pending}
            known = {
                status.workflow_id: status.status
                for status in await DBOS.list_workflows_async(
                    workflow_ids=list(by_run), load_input=False, load_output=False
                )
            }
            for run_id, each in by_run.items():
                if run_id not in known:
                    await self._enqueue(each)
                    queued += 1
                elif known[run_id] in _ENDED:
                    await self._fail(each, f"The job ended without a result ({known[run_id]}).")
            after = pending[-1].id
        return queued

    async def _start(self) -> None:
        # Without a handler of its own DBOS would print to the console instead of following our logging.
        logging.getLogger("dbos").addHandler(logging.NullHandler())
        self._engine = _sqlite_engine(self._url)
        DBOS(config=self._config())
        DBOS.workflow(name=WORKFLOW, max_recovery_attempts=self._options.crashes)(self._workflow())
        # Called from inside the loop, so that DBOS runs its workflows here and not on a loop of its own, where the
        # pipeline's and the store's connections could not be used.
        self._is_started = True
        DBOS.launch()
        await DBOS.register_queue_async(
            QUEUE,
            worker_concurrency=self._options.concurrency,
            polling_interval_sec=self._options.polling_s,
            on_conflict="always_update",
        )
        await self.sweep()
        self._sweeper = asyncio.create_task(self._sweep_for_ever(), name="triage sweep")

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._options.sweep_s)
            try:
                await self.sweep()
            except Exception:  # noqa: BLE001 - whatever it was, the next sweep may succeed
                _log.exception(
                    "The sweep for waiting incidents failed; it is tried again in %s s", self._options.sweep_s
                )

    async def _enqueue(self, pending: Pending) -> None:
        options: EnqueueOptions = {
            "workflow_name": WORKFLOW,
            "queue_name": QUEUE,
            "workflow_id": _run_id(pending),
            "app_version": WORKFLOW_VERSION,
        }
        await DBOS.enqueue_workflow_with_options_async(options, pending.id, pending.attempt)

    def _workflow(self) -> Any:
        async def triage_incident(incident_id: str, attempt: int) -> None:
            pending = Pending(incident_id, attempt)
            task = asyncio.current_task()
            if task is None or not self._is_started:
                raise asyncio.CancelledError
            self._running.add(task)
            try:
                # Each step's result is kept: a restart repeats only the step that was cut off.
                document, reason = await DBOS.run_step_async({"name": "run"}, self._run, incident_id)
                await DBOS.run_step_async({"name": "store"}, self._finish, pending, document, reason)
            finally:
                self._running.discard(task)
                self._steps.pop(incident_id, None)
                self._notify(incident_id)

        return triage_incident

    async def _run(self, incident_id: str) -> tuple[str | None, str]:
        """The triage as JSON, or None and why there is none."""
        stored = await self._store.incident(incident_id)
        try:
            with told(lambda step: self._began(incident_id, step)):
                return (await self._pipeline.run(stored.incident)).model_dump_json(), ""
        except TriageError as error:
            _log.warning("Triage of %s failed: %s", incident_id, error.detail)
            return None, error.detail
        except Exception as error:  # noqa: BLE001 - a defect must end as a stored failure, not as silence
            _log.exception("Triage of %s failed", incident_id)
            return None, f"{type(error).__name__}: {error}"

    def _began(self, incident_id: str, step: str) -> None:
        self._steps[incident_id] = step
        self._notify(incident_id)

    def _notify(self, incident_id: str) -> None:
        for event in self._waiting.get(incident_id, ()):
            event.set()

    async def _enqueue_all(self, incident_ids: Sequence[str]) -> None:
        for incident_id in incident_ids:
            await self.enqueue(incident_id)

    async def _finish(self, pending: Pending, document: str | None, reason: str) -> None:
        if document is None:
            await self._fail(pending, reason)
        else:
            await self._store.save_triage(_run_id(pending), Triage.model_validate_json(document))

    async def _fail(self, pending: Pending, reason: str) -> None:
        failures = (await self._store.incident(pending.id)).failures
        retry_at = None
        if failures + 1 < self._options.attempts:
            retry_at = datetime.now(UTC) + timedelta(seconds=self._options.retry_s * 4**failures)
        if await self._store.save_failure(pending, reason[:_REASON_CHARACTERS], retry_at):
            _log.warning(
                "Attempt %d to triage %s failed; next: %s", pending.attempt + 1, pending.id, retry_at or "none"
            )

    @contextlib.contextmanager
    def noticed(self, incident_id: str) -> Iterator[asyncio.Event]:
        """An event that is set when this process begins a step of the incident, or ends its work on it."""
        event = asyncio.Event()
        self._waiting[incident_id].add(event)
        try:
            yield event
        finally:
            self._waiting[incident_id].discard(event)
            if not self._waiting[incident_id]:
                del self._waiting[incident_id]

    def _config(self) -> DBOSConfig:
        config: DBOSConfig = {
            "name": "triage",
            "system_database_url": self._url,
            "application_version": WORKFLOW_VERSION,
            "executor_id": self._options.executor,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
        }
        if self._engine is not None:
            config["system_database_engine"] = self._engine
        return config


def _run_id(pending: Pending) -> str:
    """The workflow's id: the incident's own for the first attempt. Incident ids never hold a '~'."""
    return pending.id if pending.attempt == 0 else f"{pending.id}~{pending.attempt + 1}"


def _sqlite_engine(url: str) -> sqlalchemy.Engine | None:
    """An engine with a write-ahead log where the URL is SQLite: steps then cost a tenth. None for other databases."""
    if not url.startswith("sqlite"):
        return None
    engine = sqlalchemy.create_engine(url)

    @sqlalchemy.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = "IMMEDIATE"
        # NORMAL may lose the last commits in a power cut, never in a crash; the sweep queues their incidents anew.
        for pragma in ("busy_timeout=30000", "journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
