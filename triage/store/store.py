"""The store: everything the service keeps. Its parts are named after what they hold; each method is one transaction."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from filelock import AsyncFileLock
from sqlalchemy import func, select, text

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.principal import DEFAULT_TEAM
from triage.models.embedding import Vectors
from triage.store.annotations import (
    Annotations,
    LabelChanges,
    Labelled,
    author,
    check_unchanged,
    is_repeat,
    of_facet,
    read_current,
    save_annotation,
    with_saw_model,
)
from triage.store.assignments import Assignments
from triage.store.attempts import Attempts
from triage.store.audit import Audit
from triage.store.database import Database
from triage.store.encryption import Cipher
from triage.store.gold import Gold
from triage.store.incidents import Incidents, import_incident, lock_incidents
from triage.store.index_marks import IndexMarks, write_marks
from triage.store.keys import Keys, Sessions
from triage.store.notifications import Notifications, notify_of_corrections
from triage.store.processes import SEEN_WITHIN, Processes
from triage.store.rate_limits import RateLimits
from triage.store.reencryption import check_keys
from triage.store.review_queues import ReviewQueues
from triage.store.reviews import Reviews
from triage.store.spending import Spending
from triage.store.subscriptions import Subscriptions, WebhookSources
from triage.store.tables import (
    incident_table,
    index_mark_table,
    notification_table,
    process_table,
    spending_table,
)
from triage.store.triages import Triages
from triage.store.vectors import StoredVectors, save_vector

_POLL_S = 0.2


class Recorded(NamedTuple):
    """What `Store.record` stored.

    `annotations` are the current ones in place of those passed in, in their order; `marks` are the index marks of
    changed incidents (incident id -> the mark's `seq`).
    """

    annotations: list[Annotation]
    marks: dict[str, int]


class Workload(NamedTuple):
    """The load of the service, over all processes.

    `incidents` counts pending and failed ones by status, `notifications` undelivered ones by state, and `processes`
    by role those seen in the last minute. `cost` (US dollars) and `tokens` are today's (UTC), by model; a model without
    a price has no cost.
    """

    incidents: dict[str, int]
    oldest_pending_s: float
    index_marks: int
    notifications: dict[str, int]
    processes: dict[str, int]
    cost: dict[str, float]
    tokens: dict[str, int]


class Store:
    """The system of record. Create its tables with `upgrade` first. Times are in UTC.

    Texts of write-ups are encrypted at rest if `cipher` has keys.
    """

    def __init__(self, database_url: str, cipher: Cipher | None = None) -> None:
        self.database = database = Database(database_url, cipher)
        self.notifications = Notifications(database)
        self.incidents = Incidents(database)
        self.attempts = Attempts(database, self.notifications)
        self.triages = Triages(database, self.notifications)
        self.annotations = Annotations(database)
        self.assignments = Assignments(database)
        self.gold = Gold(database, self.incidents)
        self.reviews = Reviews(database)
        self.review_queues = ReviewQueues(database)
        self.vectors = StoredVectors(database)
        self.index_marks = IndexMarks(database)
        self.processes = Processes(database)
        self.rate_limits = RateLimits(database)
        self.spending = Spending(database)
        self.keys = Keys(database)
        self.sessions = Sessions(database, self.keys)
        self.audit = Audit(database)
        self.subscriptions = Subscriptions(database)
        self.webhook_sources = WebhookSources(database)

    async def close(self) -> None:
        """Close all connections."""
        await self.database.engine.dispose()

    async def check_keys(self) -> None:
        """Raise `MisconfiguredService` unless the encryption keys fit this store. The first process with keys marks it
        as encrypted."""
        await check_keys(self.database)

    async def ping(self) -> None:
        """Raise if the database or its tables can't be reached."""
        await self.database.rows(select(incident_table.c.seq).limit(1))

    @asynccontextmanager
    async def lock(self, name: str) -> AsyncIterator[None]:
        """Let one process at a time into this block: the others with the same `name` wait.

        Uses PostgreSQL's advisory lock, or a lock file beside an SQLite database. It is released if its process dies.
        """
        engine = self.database.engine
        if engine.dialect.name == "postgresql":
            key = int.from_bytes(hashlib.sha256(f"triage {name}".encode()).digest()[:8], "big", signed=True)
            async with engine.connect() as connection:
                # Outside a transaction, which would keep old rows alive for as long as the work takes.
                alone = await connection.execution_options(isolation_level="AUTOCOMMIT")
                # Polled, because a wait inside the database would hold up its maintenance.
                query = text("SELECT pg_try_advisory_lock(:key)")
                while not (await alone.execute(query, {"key": key})).scalar_one():  # noqa: ASYNC110 - others are processes
                    await asyncio.sleep(_POLL_S)
                try:
                    yield
                finally:
                    await alone.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": key})
            return
        path = engine.url.database
        if not path or path == ":memory:":
            yield
            return
        async with AsyncFileLock(f"{path}.{name}.lock", poll_interval=_POLL_S, run_in_executor=False):
            yield

    async def record(
        self,
        annotations: Sequence[Annotation],
        *,
        imported: Mapping[str, Incident] | None = None,
        taxonomy: str = "",
        fingerprint: str = "",
        vectors: Mapping[str, Vectors] | None = None,
        is_interactive: bool = False,
        team: str = DEFAULT_TEAM,
        expected: Labelled | None = None,
    ) -> Recorded:
        """Store annotations, the `imported` incidents they belong to, and vectors by incident id, all or nothing.

        An imported incident replaces one with its id, which loses its vectors; new ones belong to `team`. An annotation
        that repeats its annotator's current one is not stored again, unless it is a person's gold label that another
        one has replaced since. With `is_interactive` people's annotations get their `saw_model` from what they were
        shown, whatever they say themselves. `settles` may name ids that earlier `annotations` brought from elsewhere.

        Incidents whose gold labels or texts change are marked for the index. Raises `NotFound` for an annotation of a
        missing incident, and `Outdated` if the incident's annotations changed since `expected` (pass those of one
        incident only).
        """
        imported, vectors = imported or {}, vectors or {}
        changed, stored, added = set(imported), list[Annotation](), list[Annotation]()
        async with self.database.write() as connection:
            if expected is not None:
                await check_unchanged(connection, annotations[0].incident_id, expected)
            for incident in imported.values():
                await import_incident(connection, incident, taxonomy, team)
            await lock_incidents(connection, {a.incident_id for a in annotations} | set(vectors))
            for incident_id, vector in vectors.items():
                await save_vector(connection, incident_id, fingerprint, vector)
            current = await read_current(connection, {a.incident_id for a in annotations})
            changes = LabelChanges(current.values(), imported, is_interactive=is_interactive)
            gold_by = {of_facet(a): author(a) for a in current.values() if a.is_gold}
            ids: dict[int | None, int | None] = {}
            for requested in annotations:
                annotation = await with_saw_model(connection, requested) if is_interactive else requested
                if annotation.settles:
                    settles = tuple(dict.fromkeys(ids.get(n) or n for n in annotation.settles))
                    annotation = annotation.model_copy(update={"settles": settles})
                facet, key = of_facet(annotation), (*of_facet(annotation), *author(annotation))
                before = current.get(key)
                is_replaced = annotation.is_gold and gold_by.get(facet) != author(annotation)
                if (
                    before is None
                    or not is_repeat(before, annotation)
                    or (is_replaced and annotation.origin == "human")
                ):
                    if annotation.is_gold or facet in gold_by:
                        changed.add(annotation.incident_id)
                    if annotation.is_gold:
                        gold_by[facet] = author(annotation)
                    changes.add(before, annotation)
                    before = current[key] = await save_annotation(connection, annotation)
                    added.append(before)
                stored.append(before)
                ids[requested.id] = before.id
            marks = await write_marks(connection, changed)
            await changes.write(connection)
            is_notified = is_interactive and await notify_of_corrections(connection, added)
        if is_notified:
            self.notifications.added.set()
        return Recorded(stored, marks)

    async def get_workload(self) -> Workload:
        """Count what waits, what runs and what was spent today.

        Triaged incidents and delivered notifications are left out: they are many and need no monitoring.
        """
        now = datetime.now(UTC)
        status, state, role = incident_table.c.status, notification_table.c.state, process_table.c.role
        counted = {
            status: status.in_(("pending", "failed")),
            state: state != "delivered",
            role: process_table.c.seen_at > now - SEEN_WITHIN,
        }
        # Since when it waits: for a retried one that is not when it was posted.
        oldest = select(func.min(incident_table.c.updated_at)).where(status == "pending")
        today = select(spending_table).where(spending_table.c.day == now.date().isoformat())
        async with self.database.read() as connection:
            counts = [
                {row[0]: row[1] for row in await connection.execute(query)}
                for query in (
                    select(column, func.count()).where(condition).group_by(column)
                    for column, condition in counted.items()
                )
            ]
            since = (await connection.execute(oldest)).scalar_one_or_none()
            marks = (await connection.execute(select(func.count()).select_from(index_mark_table))).scalar_one()
            spending = (await connection.execute(today)).all()
        return Workload(
            incidents=counts[0],
            oldest_pending_s=max((now - since).total_seconds(), 0.0) if since else 0.0,
            index_marks=marks,
            notifications=counts[1],
            processes=counts[2],
            cost={row.model: row.cost for row in spending if row.is_priced},
            tokens={row.model: row.prompt_tokens + row.completion_tokens for row in spending},
        )
