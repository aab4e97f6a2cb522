"""The job queue: every accepted incident is triaged exactly once, by any number of processes, despite crashes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Protocol, TypeVar

import sqlalchemy
from dbos import DBOS
from sqlalchemy.exc import IntegrityError

from triage import __version__
from triage.domain.errors import MisconfiguredService, NotFound, Overloaded, TriageError
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM
from triage.domain.triage_result import Triage
from triage.observability.progress import observed_by
from triage.pipeline.pipeline import PipelineResult
from triage.server.jobs import workflows
from triage.server.jobs.reaper import Reaper
from triage.server.jobs.workflows import JobOptions, empty_log
from triage.server.metrics import Metrics
from triage.server.transient_errors import is_database_away, is_index_away
from triage.store import Pending, Store, StoredIncident

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

_REASON_CHARACTERS = 500
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 0.1, 1.0
_MOST_RETRY_S = 300.0
# DBOS waits for its database without limit; callers need not, once the incident is stored.
_PATIENCE_WITH_DATABASE_S = 3.0


class Runs(Protocol):
    """Triages one incident: the pipeline."""

    async def run(
        self,
        incident: Incident,
        *,
        teams: Collection[str] | None = None,
        on_provisional: Callable[[Triage], Awaitable[None]] | None = None,
    ) -> PipelineResult: ...


class Jobs:
    """The queue of pending incidents, and the work on it. One per process, on one event loop.

    An incident is stored first and queued then; `sweep` queues those for which the second step did not happen.
    `system_database_url` holds DBOS's own tables: an SQLite file for one process, or the store's PostgreSQL for any
    number of them. `executor` identifies this process.
    """

    # DBOS allows one instance per process.
    _active: ClassVar[Jobs | None] = None

    def __init__(
        self,
        store: Store,
        pipeline: Runs,
        system_database_url: str,
        options: JobOptions | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._store = store
        self._pipeline = pipeline
        url = sqlalchemy.make_url(system_database_url)
        self._url = url.set(drivername=url.get_backend_name()).render_as_string(hide_password=False)
        self._options = options or JobOptions()
        self.metrics = metrics or Metrics()
        self.executor = uuid.uuid4().hex
        # SQLite is for one process: any other process with work there is dead.
        self._reaper = Reaper(self.executor, 0 if url.get_backend_name() == "sqlite" else self._options.dead_after_s)
        self._engine: sqlalchemy.Engine | None = None
        self._chores: list[asyncio.Task[None]] = []
        self._errands: set[asyncio.Task[None]] = set()
        self._running: dict[asyncio.Task[Any], str] = {}
        self._steps: dict[str, str] = {}
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._queue_length, self._counted_at = 0, float("-inf")
        self._tidied_at = float("-inf")
        self._is_started = False

    @property
    def is_running(self) -> bool:
        """True between `start` and `stop`, while all periodic tasks run."""
        return self._is_started and bool(self._chores) and all(not chore.done() for chore in self._chores)

    async def start(self) -> None:
        """Start, and take over work that other processes left. Call it on the pipeline's event loop."""
        if Jobs._active is not None:
            raise MisconfiguredService("This process already runs a job queue: stop that one first.")
        Jobs._active = self
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop at once. Running jobs go back to the queue, for another process or the next start."""
        if Jobs._active is not self:
            return
        self._is_started = False
        tasks = [*self._chores, *self._errands, *self._running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        loop = asyncio.get_running_loop()
        # DBOS makes its own pool the loop's default and then closes it, but others still need a pool.
        loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
        await asyncio.to_thread(DBOS.destroy, destroy_registry=True)
        if self._engine is not None:
            self._engine.dispose()
        Jobs._active = None
        # Last, when this process can't claim jobs any more: without a heartbeat, others take over its work.
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_PATIENCE_WITH_DATABASE_S):
                await self._store.processes.delete(self.executor)

    async def admit(self, incident_id: str | None) -> None:
        """Raise `Overloaded` if the queue is full, unless the incident is stored already (None: several new ones)."""
        now = time.monotonic()
        if now - self._counted_at > 1:
            self._counted_at = now
            self._queue_length = await self._store.attempts.count_pending(self._options.most_pending)
        is_full = self._queue_length >= self._options.most_pending
        if is_full and (incident_id is None or await self._store.incidents.find(incident_id) is None):
            raise Overloaded(
                f"The job queue is full with {self._queue_length} pending incidents: post this one again later, or run "
                "more workers.",
                retry_after_s=5,
            )
        self._queue_length += 1

    async def enqueue(self, incident_id: str) -> None:
        """Queue a stored incident. Does nothing for one that is queued, running or finished."""
        stored = await self._store.incidents.get(incident_id)
        if stored.status != "pending":
            return
        try:
            async with asyncio.timeout(_PATIENCE_WITH_DATABASE_S):
                await workflows.enqueue(Pending(incident_id, stored.attempts))
        except Exception:  # noqa: BLE001 - the incident is stored, so nothing is lost
            _log.exception("Could not queue %s; the next sweep will", incident_id)

    async def retry(self, incident_id: str) -> bool:
        """Triage an incident again that failed or has a degraded triage. Returns False for others.

        If the new attempt fails, the earlier triage is kept, and the incident's state is `failed`.
        """
        if not await self._store.attempts.request_again(incident_id):
            return False
        await self.enqueue(incident_id)
        return True

    def enqueue_soon(self, incident_ids: Sequence[str]) -> None:
        """Queue stored incidents in the background. After a crash, the sweep queues the rest."""
        task = asyncio.create_task(self._enqueue_all(incident_ids), name="enqueue")
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    async def phase(self, stored: StoredIncident) -> str:
        """The phase of a pending incident: `queued`, `running`, or the current step if this process triages it.

        It is `done` if the attempt has ended since `stored` was read.
        """
        incident_id = stored.incident.id
        if incident_id in self._steps:
            return self._steps[incident_id]
        run = workflows.run_id(Pending(incident_id, stored.attempts))
        is_running = (await workflows.states([run])).get(run) == "PENDING"
        now = await self._store.incidents.find(incident_id)
        if now is None or (now.status, now.attempts) != (stored.status, stored.attempts):
            return "done"
        return self._steps.get(incident_id) or ("running" if is_running else "queued")

    async def wait(self, incident_id: str, timeout_s: float) -> None:
        """Wait until the incident is no longer pending, for at most `timeout_s`."""
        pause_s = _SHORTEST_WAIT_S
        with self.noticed(incident_id) as event, contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while (await self._store.incidents.get(incident_id)).status == "pending":
                    # Poll too: another process may do the work, and its notices don't arrive here.
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause_s):
                            await event.wait()
                    event.clear()
                    pause_s = min(_LONGEST_WAIT_S, pause_s * 1.3)

    async def forget(self, incident_id: str) -> None:
        """Delete the jobs of an incident, and stop the work on it in this process."""
        for task, running in list(self._running.items()):
            if workflows.incident_of(running) == incident_id:
                task.cancel()
        await workflows.forget(incident_id)
        if self._engine is not None:
            await asyncio.to_thread(empty_log, self._engine)

    async def sweep(self) -> int:
        """Queue pending incidents without a workflow, and fail those whose workflow ended without a result.

        Returns how many were queued.
        """
        await self._store.attempts.rearm(datetime.now(UTC))
        queued, after = 0, None
        while pending := await self._store.attempts.list_pending(after):
            by_run = {workflows.run_id(each): each for each in pending}
            known = await workflows.states(list(by_run))
            for run_id, each in by_run.items():
                if run_id not in known:
                    await workflows.enqueue(each)
                    queued += 1
                elif known[run_id] in workflows.ENDED:
                    await self._fail(each, f"The job ended without a result ({known[run_id]}).")
            after = pending[-1].id
        return queued

    async def reap(self) -> int:
        """Put the work of dead processes back on the queue; returns how many workflows."""
        claimed = await workflows.claimed()
        processes = await self._store.processes.list()
        orphans = self._reaper.orphans(
            claimed, {each.id: each.seen_at for each in processes}, set(self._running.values())
        )
        taken = await workflows.hand_back(orphans)
        if taken:
            _log.warning("Took over %d jobs of dead processes", taken)
        for process_id in self._reaper.dead({each.id for each in processes}):
            await self._store.processes.delete(process_id)
        return taken

    async def _start(self) -> None:
        await self._beat()
        self._is_started = True
        self._engine = await workflows.launch(self._url, self.executor, self._workflow(), self._options)
        beat_s = max(self._options.dead_after_s / 5, 0.05)
        self._chores.append(self._every(beat_s, "heartbeat", self._beat))
        if self._options.works:
            await self.reap()
            await self.sweep()
            self._chores.append(self._every(beat_s, "takeover of dead processes' jobs", self.reap))
            self._chores.append(self._every(self._options.sweep_s, "sweep for pending incidents", self._tidy_sweep))

    def _every(self, seconds: float, chore: str, do: Callable[[], Awaitable[Any]]) -> asyncio.Task[None]:
        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                try:
                    await do()
                except Exception as error:  # noqa: BLE001 - the next run may succeed
                    trace = None if is_database_away(error) else error
                    _log.warning("The %s failed (%s)", chore, type(error).__name__, exc_info=trace)

        return asyncio.create_task(repeat(), name=f"triage {chore}")

    async def _beat(self) -> None:
        await self._store.processes.beat(self.executor, self._options.role, __version__)

    async def _tidy_sweep(self) -> None:
        await self.sweep()
        if time.monotonic() - self._tidied_at > 3600:
            self._tidied_at = time.monotonic()
            await workflows.forget_ended(datetime.now(UTC) - timedelta(days=self._options.kept_days))

    def _workflow(self) -> Callable[[str, int], Awaitable[None]]:
        async def triage_incident(incident_id: str, attempt: int) -> None:
            task = asyncio.current_task()
            if task is None or not self._is_started:
                raise asyncio.CancelledError
            pending = Pending(incident_id, attempt)
            self._running[task] = workflows.run_id(pending)
            try:
                async with workflows.traced(pending):
                    await self._triage(pending)
            finally:
                del self._running[task]
                self._steps.pop(incident_id, None)
                self._notify(incident_id)

        return triage_incident

    async def _triage(self, pending: Pending) -> None:
        """Make one attempt, unless its result is stored already."""
        run_id = workflows.run_id(pending)
        try:
            if await self._lasting(lambda: self._store.triages.exists(run_id)):
                return
            stored = await self._lasting(lambda: self._store.incidents.get(pending.id))
            with observed_by(lambda step: self._began(pending.id, step)):
                result = await self._run(pending, stored)
            if result is not None:
                await self._lasting(lambda: self._store.triages.save(run_id, result.triage, result.vector))
                self.metrics.triaged(result.triage, stored.updated_at)
        except (NotFound, IntegrityError):
            _log.info("Another process stored the triage of %s, or the incident was deleted", run_id)

    def _began(self, incident_id: str, step: str) -> None:
        self._steps[incident_id] = step
        self._notify(incident_id)

    def _notify(self, incident_id: str) -> None:
        for event in self._waiting.get(incident_id, ()):
            event.set()

    async def _run(self, pending: Pending, stored: StoredIncident) -> PipelineResult | None:
        """The result, or None after storing the failure."""

        async def keep(provisional: Triage) -> None:
            await self._keep_provisional(pending, provisional)

        give_up_at = time.monotonic() + self._options.patience_s
        while True:
            try:
                return await self._pipeline.run(stored.incident, teams={stored.team, SHARED_TEAM}, on_provisional=keep)
            except TriageError as error:
                reason, is_transient = error.detail, is_index_away(error)
            except Exception as error:  # noqa: BLE001 - a defect must end as a stored failure
                is_transient = is_database_away(error) or is_index_away(error)
                # The message of an unexpected error may quote the write-up, and others see the reason.
                reason = f"An unexpected error occurred ({type(error).__name__}): see the log."
                if not is_transient:
                    _log.exception("Triage of %s failed", pending.id)
            if not is_transient or time.monotonic() >= give_up_at:
                reason = f"The index or the database was unavailable. {reason}" if is_transient else reason
                await self._lasting(lambda: self._fail(pending, reason, is_transient=is_transient))  # noqa: B023
                return None
            await asyncio.sleep(min(1.0, self._options.patience_s / 4))

    async def _keep_provisional(self, pending: Pending, provisional: Triage) -> None:
        """Store a provisional triage. It is not waited for: the triage itself follows."""
        try:
            await self._store.triages.save_provisional(pending, provisional)
        except Exception as error:
            if not is_database_away(error):
                raise
            _log.warning("The provisional triage of %s was not stored (%s)", pending.id, type(error).__name__)
        self._notify(pending.id)

    async def _enqueue_all(self, incident_ids: Sequence[str]) -> None:
        for incident_id in incident_ids:
            await self.enqueue(incident_id)

    async def _lasting(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The store's answer, retried while its database is away: a triage that cost money must not get lost."""
        pause_s = 0.2
        while True:
            try:
                return await ask()
            except Exception as error:
                if not is_database_away(error):
                    raise
                _log.warning("The database is unavailable (%s); retrying in %.1f s", type(error).__name__, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(5.0, pause_s * 2)

    async def _fail(self, pending: Pending, reason: str, *, is_transient: bool = False) -> None:
        if (stored := await self._store.incidents.find(pending.id)) is None:
            return
        failures, retry_at = stored.failures, None
        if is_transient or failures + 1 < self._options.attempts:
            delay_s = self._options.retry_s * 4 ** min(failures, 10)
            retry_at = datetime.now(UTC) + timedelta(seconds=min(delay_s, _MOST_RETRY_S))
        if await self._store.attempts.fail(pending, reason[:_REASON_CHARACTERS], retry_at):
            self.metrics.failed(is_final=retry_at is None)
            _log.warning(
                "Attempt %d to triage %s failed; next: %s", pending.attempt + 1, pending.id, retry_at or "none"
            )

    @contextlib.contextmanager
    def noticed(self, incident_id: str) -> Iterator[asyncio.Event]:
        """An event that this process sets when it begins a step of the incident, or ends its work on it."""
        event = asyncio.Event()
        self._waiting[incident_id].add(event)
        try:
            yield event
        finally:
            self._waiting[incident_id].discard(event)
            if not self._waiting[incident_id]:
                del self._waiting[incident_id]
