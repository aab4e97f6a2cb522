"""The store: everything that is kept, behind one class. A method is one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import distinct, exists, func, null, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.annotation import Annotation, Labels
from triage.embedding import Vectors
from triage.errors import NotFound
from triage.incident import Incident
from triage.sealing import Sealer
from triage.store import rows
from triage.store.assignments import Assignments
from triage.store.audit import Audit
from triage.store.changes import Changes
from triage.store.completion import announce, conditions, finished, settled
from triage.store.deletion import delete_incident, empty_log
from triage.store.engine import WRITES, create_engine, insert_or_leave
from triage.store.index_marks import IndexMarks, write_marks
from triage.store.judgements import Judgement, TriagedIncident, read_judgements, read_triaged
from triage.store.keys import Keys
from triage.store.notifications import Notifications, notify, notify_of_corrections
from triage.store.pace import Pace
from triage.store.processes import Processes
from triage.store.records import (
    DEFAULT_TEAM,
    Finished,
    FinishedPage,
    Labelled,
    Page,
    Pending,
    Status,
    StoredIncident,
    Wanted,
)
from triage.store.resealing import check_seal
from triage.store.spending import Spending
from triage.store.standing import (
    CHUNK,
    chunks,
    gold_query,
    keep,
    latest,
    of_facet,
    says_the_same,
    speaker,
    still,
    witnessed,
)
from triage.store.subscriptions import Subscriptions, WebhookSources
from triage.store.tables import annotation_table, incident_table, triage_table, vector_table
from triage.store.turns import only_one
from triage.store.workload import Workload, read_workload
from triage.triage_result import Triage


class Store:
    """The system of record. The tables must be there: see `upgrade`. Times come out in UTC.

    What holds text of write-ups is sealed at rest where `sealer` has keys.
    """

    def __init__(self, database_url: str, sealer: Sealer | None = None) -> None:
        self._sealer = sealer or Sealer()
        self._engine = create_engine(database_url, self._sealer)
        self._writing = self._engine.execution_options(**WRITES)
        self.assignments = Assignments(self._engine, self._writing)
        self.index_marks = IndexMarks(self._engine, self._writing)
        self.processes = Processes(self._engine, self._writing)
        self.pace = Pace(self._engine, self._writing)
        self.spending = Spending(self._engine, self._writing)
        self.keys = Keys(self._engine, self._writing)
        self.audit = Audit(self._engine)
        self.notifications = Notifications(self._engine, self._writing)
        self.subscriptions = Subscriptions(self._engine, self._writing, self._sealer)
        self.webhook_sources = WebhookSources(self._engine, self._writing, self._sealer)

    async def close(self) -> None:
        """Let go of the connections."""
        await self._engine.dispose()

    async def check_seal(self) -> None:
        """Raise `MisconfiguredService` unless the keys open this store. The first process with keys marks it sealed."""
        await check_seal(self._writing, self._sealer)

    async def ping(self) -> None:
        """Raise if the database or its tables can't be reached."""
        async with self._engine.connect() as connection:
            await connection.execute(select(incident_table.c.seq).limit(1))

    async def workload(self) -> Workload:
        """What waits, what is at work and what was spent today."""
        return await read_workload(self._engine)

    # Incidents

    async def add_incident(self, incident: Incident, taxonomy: str, team: str = DEFAULT_TEAM) -> bool:
        """Accept an incident of `team` for triage. False, and nothing done, if the id is taken."""
        now = datetime.now(UTC)
        state = {"taxonomy": taxonomy, "team": team, "status": "pending", "created_at": now, "updated_at": now}
        try:
            async with self._writing.begin() as connection:
                if await _is_there(connection, incident.id):
                    return False
                await connection.execute(incident_table.insert().values(**rows.incident_values(incident), **state))
        except IntegrityError:
            # Another process was faster (PostgreSQL; SQLite lets one writer in at a time).
            return False
        return True

    async def add_incidents(self, incidents: Sequence[Incident], taxonomy: str, team: str = DEFAULT_TEAM) -> set[str]:
        """Accept incidents of `team` for triage, in one transaction. Returns the ids of those that are new.

        Of several with one id the first counts.
        """
        now = datetime.now(UTC)
        state = {"taxonomy": taxonomy, "team": team, "status": "pending", "created_at": now, "updated_at": now}
        values: dict[str, dict[str, Any]] = {}
        for incident in incidents:
            values.setdefault(incident.id, {**rows.incident_values(incident), **state})
        if not values:
            return set()
        insert = insert_or_leave(self._engine.dialect.name, incident_table).returning(incident_table.c.id)
        async with self._writing.begin() as connection:
            return set((await connection.execute(insert, list(values.values()))).scalars())

    async def find(self, incident_id: str) -> StoredIncident | None:
        """The incident with this id, or None."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(select(incident_table).where(incident_table.c.id == incident_id))
            ).one_or_none()
        return None if row is None else rows.read_stored(row)

    async def incident(self, incident_id: str) -> StoredIncident:
        """The incident with this id. Raises `NotFound`."""
        found = await self.find(incident_id)
        if found is None:
            raise NotFound(f"There is no incident {incident_id!r}.", incident_id=incident_id)
        return found

    async def incidents(self, incident_ids: Collection[str]) -> dict[str, StoredIncident]:
        """Those incidents of `incident_ids` that are there, by id."""
        found: dict[str, StoredIncident] = {}
        async with self._engine.connect() as connection:
            for chunk in chunks(incident_ids):
                for row in await connection.execute(select(incident_table).where(incident_table.c.id.in_(chunk))):
                    found[row.id] = rows.read_stored(row)
        return found

    async def delete(self, incident_id: str, actor: str) -> dict[str, int]:
        """Delete an incident with all that is kept of it, and record who did; returns its mark for the index.

        Raises `NotFound`.
        """
        async with self._writing.begin() as connection:
            marked = await delete_incident(connection, incident_id, actor)
        if marked is None:
            raise NotFound(f"There is no incident {incident_id!r}.", incident_id=incident_id)
        await empty_log(self._engine)
        return marked

    def only_one(self, what: str) -> AbstractAsyncContextManager[None]:
        """A block in which one process is at a time, see `turns.py`."""
        return only_one(self._engine, what)

    async def team_of(self, incident_id: str) -> str | None:
        """The team of an incident; None where there is no such incident."""
        query = select(incident_table.c.team).where(incident_table.c.id == incident_id)
        async with self._engine.connect() as connection:
            team: str | None = (await connection.execute(query)).scalar_one_or_none()
        return team

    async def page(self, limit: int, cursor: str | None = None, wanted: Wanted | None = None) -> Page:
        """Incidents, newest first. Raises `InvalidInput` for a cursor that is none."""
        query = select(*rows.LIST_COLUMNS).order_by(incident_table.c.seq.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(incident_table.c.seq < rows.read_cursor(cursor))
        if wanted is not None:
            query = query.where(*conditions(wanted))
        async with self._engine.connect() as connection:
            found = (await connection.execute(query)).all()
        more = len(found) > limit
        return Page(
            incidents=tuple(map(rows.read_listed, found[:limit])),
            next_cursor=rows.write_cursor(found[limit - 1].seq) if more else None,
        )

    async def incident_ids(self, status: Status | None = None) -> list[str]:
        """The ids of all incidents, or of those with this status, oldest first."""
        query = select(incident_table.c.id).order_by(incident_table.c.seq)
        if status is not None:
            query = query.where(incident_table.c.status == status)
        async with self._engine.connect() as connection:
            return list((await connection.execute(query)).scalars())

    # Triage and its attempts

    async def pending(self, after: str | None = None, limit: int = CHUNK) -> list[Pending]:
        """Incidents that wait for their triage, by id, those behind `after`."""
        query = (
            select(incident_table.c.id, incident_table.c.attempts)
            .where(incident_table.c.status == "pending")
            .order_by(incident_table.c.id)
            .limit(limit)
        )
        if after is not None:
            query = query.where(incident_table.c.id > after)
        async with self._engine.connect() as connection:
            return [Pending(*row) for row in await connection.execute(query)]

    async def pending_count(self, limit: int) -> int:
        """How many incidents wait for their triage, counted up to `limit`."""
        some = select(incident_table.c.seq).where(incident_table.c.status == "pending").limit(limit).subquery()
        async with self._engine.connect() as connection:
            return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())

    async def has_triage(self, run_id: str) -> bool:
        """True if the result of this run is stored."""
        async with self._engine.connect() as connection:
            query = select(exists().where(triage_table.c.run_id == run_id))
            return bool((await connection.execute(query)).scalar_one())

    async def save_triage(self, run_id: str, triage: Triage) -> None:
        """Keep a result. A second time with the same `run_id` changes nothing, nor does one of a deleted incident."""
        async with self._writing.begin() as connection:
            known = select(exists().where(triage_table.c.run_id == run_id))
            if (await connection.execute(known)).scalar_one():
                return
            # Held until the result is in: a deletion comes before both or after both.
            held = select(incident_table.c.id).where(incident_table.c.id == triage.incident_id)
            if (await connection.execute(held.with_for_update())).one_or_none() is None:
                return
            await announce(connection)
            await connection.execute(
                triage_table.insert().values(
                    incident_id=triage.incident_id,
                    run_id=run_id,
                    document=triage.model_dump_json(),
                    degraded=triage.degraded,
                    created_at=triage.created_at,
                )
            )
            await connection.execute(
                incident_table.update()
                .where(incident_table.c.id == triage.incident_id)
                .values(status="triaged", failures=0, failure=None, retry_at=None, updated_at=datetime.now(UTC))
            )
            is_told = await notify(connection, "triaged", triage.incident_id, run_id)
        if is_told:
            self.notifications.added.set()

    async def save_failure(self, pending: Pending, reason: str, retry_at: datetime | None) -> bool:
        """Keep why an attempt failed. False, and nothing done, if the incident moved on since that attempt."""
        async with self._writing.begin() as connection:
            changed = await connection.execute(
                incident_table.update()
                .where(
                    incident_table.c.id == pending.id,
                    incident_table.c.status == "pending",
                    incident_table.c.attempts == pending.attempt,
                )
                .values(
                    status="failed",
                    attempts=incident_table.c.attempts + 1,
                    failures=incident_table.c.failures + 1,
                    failure=reason,
                    retry_at=retry_at,
                    updated_at=datetime.now(UTC),
                )
            )
            is_told = False
            if changed.rowcount > 0 and retry_at is None:
                is_told = await notify(connection, "failed", pending.id, f"{pending.id}~{pending.attempt + 1}")
        if is_told:
            self.notifications.added.set()
        return changed.rowcount > 0

    async def rearm(self, now: datetime) -> int:
        """Make failed incidents whose time to be tried again has come pending. Returns how many."""
        async with self._writing.begin() as connection:
            changed = await connection.execute(
                incident_table.update()
                .where(incident_table.c.status == "failed", incident_table.c.retry_at <= now)
                .values(status="pending", retry_at=None, updated_at=now)
            )
        return changed.rowcount

    async def request_triage(self, incident_id: str) -> None:
        """Make an incident that was imported, or failed for good, pending. Does nothing to any other."""
        async with self._writing.begin() as connection:
            await connection.execute(
                incident_table.update()
                .where(
                    incident_table.c.id == incident_id,
                    (incident_table.c.status == "imported")
                    | ((incident_table.c.status == "failed") & incident_table.c.retry_at.is_(None)),
                )
                .values(status="pending", failures=0, failure=None, updated_at=datetime.now(UTC))
            )

    async def triage_document(self, incident_id: str) -> str | None:
        """The latest triage of an incident as JSON, as it was stored; None if there is none."""
        query = (
            select(triage_table.c.document)
            .where(triage_table.c.incident_id == incident_id)
            .order_by(triage_table.c.id.desc())
            .limit(1)
        )
        async with self._engine.connect() as connection:
            document: str | None = (await connection.execute(query)).scalar_one_or_none()
        return document

    async def triage_of_run(self, run_id: str) -> Triage | None:
        """The triage that this run made, or None."""
        query = select(triage_table.c.document).where(triage_table.c.run_id == run_id)
        async with self._engine.connect() as connection:
            document = (await connection.execute(query)).scalar_one_or_none()
        return None if document is None else Triage.model_validate_json(document)

    async def annotation(self, annotation_id: int) -> Annotation | None:
        """The annotation with this id, or None."""
        query = select(*rows.ANNOTATION_COLUMNS).where(annotation_table.c.id == annotation_id)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else rows.read_annotation(row)

    async def triage(self, incident_id: str) -> Triage | None:
        """The latest triage of an incident, or None."""
        document = await self.triage_document(incident_id)
        return None if document is None else Triage.model_validate_json(document)

    async def finished(
        self,
        limit: int,
        cursor: str | None = None,
        *,
        since: datetime | None = None,
        teams: Collection[str] | None = None,
    ) -> FinishedPage:
        """Triages in the order in which they were stored, those behind the cursor or, without one, made `since` then.

        A client that goes on from `next_cursor` sees each triage once and misses none, whatever is stored meanwhile.
        """
        after = None if cursor is None else rows.read_cursor(cursor)
        async with self._engine.connect() as connection:
            found = await finished(connection, limit + 1, after, since, teams)
        last = found[:limit][-1].id if found else after or 0
        listed = tuple(Finished(row.incident_id, row.degraded, row.created_at, row.document) for row in found[:limit])
        return FinishedPage(listed, rows.write_cursor(last), has_more=len(found) > limit)

    async def newest_cursor(self) -> str:
        """The cursor for `finished` behind which stands what is stored from now on."""
        async with self._engine.connect() as connection:
            return rows.write_cursor(await settled(connection))

    async def judgements(self, taxonomy: str, facet: str, since: datetime, limit: int) -> list[Judgement]:
        """What people said of a facet since then beside what the triage had said; newest first, at most `limit`."""
        async with self._engine.connect() as connection:
            return await read_judgements(connection, taxonomy, facet, since, limit)

    async def triaged_incidents(
        self, taxonomy: str, facets: Sequence[str], since: datetime, limit: int
    ) -> list[TriagedIncident]:
        """The latest triages made since then, newest first, at most `limit`."""
        async with self._engine.connect() as connection:
            return await read_triaged(connection, taxonomy, facets, since, limit)

    # Annotations and the history

    async def record(
        self,
        annotated: Sequence[Annotation],
        *,
        imported: Mapping[str, Incident] | None = None,
        taxonomy: str = "",
        fingerprint: str = "",
        embedded: Mapping[str, Vectors] | None = None,
        is_given_here: bool = False,
        team: str = DEFAULT_TEAM,
        marked: dict[str, int] | None = None,
        expected: Labelled | None = None,
    ) -> list[Annotation]:
        """Keep annotations, the `imported` incidents they are of, and vectors (incident id -> vector), all or nothing.

        An imported incident takes the place of one with its id, which loses its vectors. An annotation that says what
        its annotator said last is not kept again, and the one that stands is returned in its place; unless it is a
        person's gold label that another one has replaced since. With `is_given_here` people's annotations get their
        `saw_model` from what was served to them, whatever they say themselves. Raises `Outdated` if the one incident
        that they are of has got further than `expected`.

        Incidents whose gold labels or texts this changes are marked for the index, in `marked` too (incident id -> the
        mark's `seq`). New incidents are of `team`. Raises `NotFound` for an annotation of an incident that is gone.
        """
        changed = set(imported or {})
        async with self._writing.begin() as connection:
            if expected is not None:
                await still(connection, annotated[0].incident_id, expected)
            for incident in (imported or {}).values():
                await _import(connection, incident, taxonomy, team)
            await _must_be_there(connection, {a.incident_id for a in annotated} | set(embedded or {}))
            for incident_id, vector in (embedded or {}).items():
                await _keep_vector(connection, incident_id, fingerprint, vector)
            standing = await latest(connection, {annotation.incident_id for annotation in annotated})
            changes = Changes(standing.values(), imported or {}, is_given_here=is_given_here)
            gold_by = {of_facet(a): speaker(a) for a in standing.values() if a.is_gold}
            kept, new = [], []
            for given in annotated:
                annotation = await witnessed(connection, given) if is_given_here else given
                before = standing.get((*of_facet(annotation), *speaker(annotation)))
                is_repeat = before is not None and says_the_same(before, annotation)
                is_replaced = annotation.is_gold and gold_by.get(of_facet(annotation)) != speaker(annotation)
                if before is None or not is_repeat or (is_replaced and annotation.origin == "human"):
                    if annotation.is_gold or of_facet(annotation) in gold_by:
                        changed.add(annotation.incident_id)
                    changes.note(before, annotation)
                    before = await keep(connection, annotation)
                    new.append(before)
                    standing[*of_facet(annotation), *speaker(annotation)] = before
                    if annotation.is_gold:
                        gold_by[of_facet(annotation)] = speaker(annotation)
                kept.append(before)
            marks = await write_marks(connection, changed)
            await changes.write(connection)
            is_told = is_given_here and await notify_of_corrections(connection, new)
        if is_told:
            self.notifications.added.set()
        if marked is not None:
            marked |= marks
        return kept

    async def annotations(self, incident_id: str) -> list[Annotation]:
        """All annotations of an incident, oldest first."""
        return (await self.annotations_of([incident_id]))[incident_id]

    async def annotations_of(self, incident_ids: Collection[str]) -> dict[str, list[Annotation]]:
        """Incident id -> all its annotations, oldest first, for each of `incident_ids`."""
        found: dict[str, list[Annotation]] = {incident_id: [] for incident_id in incident_ids}
        async with self._engine.connect() as connection:
            for chunk in chunks(incident_ids):
                mine = annotation_table.c.incident_id.in_(chunk)
                query = select(*rows.ANNOTATION_COLUMNS).where(mine).order_by(annotation_table.c.id)
                for annotation in map(rows.read_annotation, await connection.execute(query)):
                    found[annotation.incident_id].append(annotation)
        return found

    async def labelled(
        self,
        annotators: int = 1,
        *,
        before: int | None = None,
        limit: int | None = None,
        teams: Collection[str] | None = None,
    ) -> list[tuple[int, str]]:
        """Place and id of incidents of which so many people labelled one and the same facet, newest first.

        With `before` only those behind that place, with `teams` only those of these teams.
        """
        query = (
            select(incident_table.c.seq, incident_table.c.id)
            .join(annotation_table, annotation_table.c.incident_id == incident_table.c.id)
            .where(annotation_table.c.origin == "human", annotation_table.c.settles.is_(null()))
            .group_by(incident_table.c.seq, incident_table.c.id, annotation_table.c.facet)
            .having(func.count(annotation_table.c.annotator.distinct()) >= annotators)
            .distinct()
            .order_by(incident_table.c.seq.desc())
            .limit(limit)
        )
        if before is not None:
            query = query.where(incident_table.c.seq < before)
        if teams is not None:
            query = query.where(incident_table.c.team.in_(teams))
        async with self._engine.connect() as connection:
            return [(row.seq, row.id) for row in await connection.execute(query)]

    async def all_annotations(self, taxonomy: str) -> list[Annotation]:
        """All annotations of incidents that are labelled with this taxonomy, oldest first.

        Behind them stand the labels of the latest triage of each incident, of origin `model`.
        """
        of_taxonomy = incident_table.c.taxonomy == taxonomy
        query = (
            select(*rows.ANNOTATION_COLUMNS)
            .join(incident_table, incident_table.c.id == annotation_table.c.incident_id)
            .where(of_taxonomy)
            .order_by(annotation_table.c.id)
        )
        latest = select(func.max(triage_table.c.id)).group_by(triage_table.c.incident_id)
        triages = (
            select(triage_table.c.document)
            .join(incident_table, incident_table.c.id == triage_table.c.incident_id)
            .where(of_taxonomy, triage_table.c.id.in_(latest))
            .order_by(triage_table.c.id)
        )
        async with self._engine.connect() as connection:
            annotated = [rows.read_annotation(row) for row in await connection.execute(query)]
            documents = (await connection.execute(triages)).scalars().all()
        said = [annotation for document in documents for annotation in rows.said_by_model(document)]
        return [*annotated, *said]

    async def has_gold(self) -> bool:
        """True if any incident has a gold label."""
        async with self._engine.connect() as connection:
            return bool((await connection.execute(select(exists().where(annotation_table.c.is_gold)))).scalar_one())

    async def gold(self, incident_ids: Collection[str]) -> dict[str, Labels]:
        """Incident id -> gold labels, for those of `incident_ids` that have any.

        An annotator's latest word on a facet counts, and so does their latest adjudication of it; of several gold ones
        a person's before any other, then the newest.
        """
        found: dict[str, Labels] = {}
        async with self._engine.connect() as connection:
            for chunk in chunks(incident_ids):
                found |= rows.gold_labels(await connection.execute(gold_query(chunk)))
        return found

    async def gold_ids(self) -> set[str]:
        """The ids of all incidents with gold labels: the history."""
        async with self._engine.connect() as connection:
            return {row.incident_id for row in await connection.execute(gold_query(None))}

    async def history_size(self) -> int:
        """How many incidents have gold labels."""
        gold = gold_query(None).order_by(None).subquery()
        async with self._engine.connect() as connection:
            return int((await connection.execute(select(func.count(distinct(gold.c.incident_id))))).scalar_one())

    async def gold_pages(self, size: int = CHUNK) -> AsyncIterator[dict[str, Labels]]:
        """Incident id -> gold labels, of all incidents that have any, in portions by id. Bounded in memory."""
        after = ""
        while True:
            query = (
                select(annotation_table.c.incident_id)
                .where(annotation_table.c.is_gold, annotation_table.c.incident_id > after)
                .distinct()
                .order_by(annotation_table.c.incident_id)
                .limit(size)
            )
            async with self._engine.connect() as connection:
                ids = list((await connection.execute(query)).scalars())
            if not ids:
                return
            yield await self.gold(ids)
            after = ids[-1]

    async def history(self, chunk: int = CHUNK) -> AsyncIterator[list[tuple[Incident, Labels]]]:
        """Every incident with gold labels and those labels, in portions by id. Bounded in memory."""
        async for gold in self.gold_pages(chunk):
            stored = await self.incidents(gold)
            yield [(stored[key].incident, labels) for key, labels in gold.items() if key in stored]

    async def vectors(self, fingerprint: str, incident_ids: Collection[str]) -> dict[str, Vectors]:
        """Incident id -> vector by the embedder with this fingerprint, for those that have one."""
        found: dict[str, Vectors] = {}
        async with self._engine.connect() as connection:
            for chunk in chunks(incident_ids):
                query = select(vector_table.c.incident_id, vector_table.c.vector).where(
                    vector_table.c.fingerprint == fingerprint, vector_table.c.incident_id.in_(chunk)
                )
                for incident_id, content in await connection.execute(query):
                    found[incident_id] = rows.read_vector(content)
        return found

    async def save_vectors(self, fingerprint: str, embedded: Mapping[str, Vectors]) -> None:
        """Keep vectors (incident id -> vector), in place of earlier ones of the same embedder."""
        await self.record([], fingerprint=fingerprint, embedded=embedded)


async def _is_there(connection: AsyncConnection, incident_id: str) -> bool:
    return bool((await connection.execute(select(exists().where(incident_table.c.id == incident_id)))).scalar_one())


async def _must_be_there(connection: AsyncConnection, incident_ids: Collection[str]) -> None:
    for chunk in chunks(incident_ids):
        # Held, so that a deletion comes before all of this or after it.
        query = select(incident_table.c.id).where(incident_table.c.id.in_(chunk)).with_for_update(read=True)
        if missing := set(chunk) - set((await connection.execute(query)).scalars()):
            raise NotFound(f"There is no incident {', '.join(map(repr, sorted(missing)[:10]))}.")


async def _import(connection: AsyncConnection, incident: Incident, taxonomy: str, team: str) -> None:
    now = datetime.now(UTC)
    values = rows.incident_values(incident) | {"taxonomy": taxonomy, "updated_at": now}
    if await _is_there(connection, incident.id):
        await connection.execute(incident_table.update().where(incident_table.c.id == incident.id).values(**values))
        await connection.execute(vector_table.delete().where(vector_table.c.incident_id == incident.id))
    else:
        await connection.execute(incident_table.insert().values(**values, team=team, status="imported", created_at=now))


async def _keep_vector(connection: AsyncConnection, incident_id: str, fingerprint: str, vector: Vectors) -> None:
    mine = (vector_table.c.incident_id == incident_id) & (vector_table.c.fingerprint == fingerprint)
    await connection.execute(vector_table.delete().where(mine))
    await connection.execute(
        vector_table.insert().values(
            incident_id=incident_id,
            fingerprint=fingerprint,
            dimension=vector.shape[-1],
            vector=rows.write_vector(vector),
        )
    )
