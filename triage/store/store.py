"""The store: everything that is kept, behind one class. A method is one transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from triage.domain.annotation import Annotation, Labels
from triage.domain.enums import Status
from triage.domain.errors import NotFound
from triage.domain.incident import Incident
from triage.domain.triage_result import Triage
from triage.models.embedding import Vectors
from triage.store import rows
from triage.store.annotations import read_all_annotations, read_annotation, read_annotations, read_labelled
from triage.store.assignments import Assignments
from triage.store.attempts import (
    count_pending,
    keep_failure,
    read_pending,
    rearm_failed,
    request_another,
    request_attempt,
)
from triage.store.audit import Audit
from triage.store.completion import settled
from triage.store.deletion import delete_incident, empty_log
from triage.store.encryption import Sealer
from triage.store.engine import WRITES, create_engine
from triage.store.gold import count_gold, is_any_gold, newest_gold_ids, next_gold_ids, read_gold, read_gold_ids
from triage.store.incidents import (
    accept,
    accept_many,
    read_ids,
    read_incidents,
    read_listed,
    read_page,
    read_posted,
    read_seq,
    read_teams,
)
from triage.store.index_marks import IndexMarks
from triage.store.judgements import (
    Coverage,
    Judgement,
    TriagedIncident,
    read_annotators,
    read_coverage,
    read_judgements,
    read_triaged,
)
from triage.store.keys import Keys
from triage.store.notifications import Notifications
from triage.store.pace import Pace
from triage.store.piles import Piles
from triage.store.processes import Processes
from triage.store.recording import record
from triage.store.records import (
    DEFAULT_TEAM,
    FinishedPage,
    Labelled,
    Listed,
    Made,
    Page,
    Pending,
    Posted,
    Recent,
    StoredIncident,
    Wanted,
)
from triage.store.resealing import check_seal
from triage.store.sessions import Sessions
from triage.store.spending import Spending
from triage.store.statements import CHUNK
from triage.store.subscriptions import Subscriptions, WebhookSources
from triage.store.tables import incident_table
from triage.store.triages import (
    document_of_run,
    has_result,
    keep_triage,
    latest_document,
    latest_documents,
    latest_documents_of,
    read_finished,
    read_made,
    read_recent,
)
from triage.store.turns import only_one
from triage.store.vectors import read_vectors
from triage.store.workload import Workload, read_workload


class Store:
    """The system of record. The tables must be there: see `upgrade`. Times come out in UTC.

    What holds text of write-ups is sealed at rest where `sealer` has keys.
    """

    def __init__(self, database_url: str, sealer: Sealer | None = None) -> None:
        self._sealer = sealer or Sealer()
        self._engine = create_engine(database_url, self._sealer)
        self._writing = self._engine.execution_options(**WRITES)
        self.assignments = Assignments(self._engine, self._writing)
        self.piles = Piles(self._engine)
        self.index_marks = IndexMarks(self._engine, self._writing)
        self.processes = Processes(self._engine, self._writing)
        self.pace = Pace(self._engine, self._writing)
        self.spending = Spending(self._engine, self._writing)
        self.keys = Keys(self._engine, self._writing)
        self.sessions = Sessions(self._engine, self._writing, self.keys)
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
        try:
            async with self._writing.begin() as connection:
                return await accept(connection, incident, taxonomy, team)
        except IntegrityError:
            # Another process was faster (PostgreSQL; SQLite lets one writer in at a time).
            return False

    async def add_incidents(self, incidents: Sequence[Incident], taxonomy: str, team: str = DEFAULT_TEAM) -> set[str]:
        """Accept incidents of `team` for triage, in one transaction. Returns the ids of those that are new.

        Of several with one id the first counts.
        """
        if not incidents:
            return set()
        async with self._writing.begin() as connection:
            return await accept_many(connection, incidents, taxonomy, team)

    async def find(self, incident_id: str) -> StoredIncident | None:
        """The incident with this id, or None."""
        return (await self.incidents([incident_id])).get(incident_id)

    async def incident(self, incident_id: str) -> StoredIncident:
        """The incident with this id. Raises `NotFound`."""
        found = await self.find(incident_id)
        if found is None:
            raise NotFound(f"There is no incident {incident_id!r}.", incident_id=incident_id)
        return found

    async def incidents(self, incident_ids: Collection[str]) -> dict[str, StoredIncident]:
        """Those incidents of `incident_ids` that are there, by id."""
        async with self._engine.connect() as connection:
            return await read_incidents(connection, incident_ids)

    async def listed(self, incident_ids: Collection[str]) -> dict[str, Listed]:
        """Those incidents of `incident_ids` that are there, by id, without their write-ups."""
        async with self._engine.connect() as connection:
            return await read_listed(connection, incident_ids)

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
        return (await self.teams_of([incident_id])).get(incident_id)

    async def teams_of(self, incident_ids: Collection[str]) -> dict[str, str]:
        """Incident id -> team, of those of `incident_ids` that are there."""
        async with self._engine.connect() as connection:
            return await read_teams(connection, incident_ids)

    async def cursor_behind(self, incident_id: str) -> str | None:
        """The cursor of what is older than an incident, in every list that is newest first; None if it is not there."""
        async with self._engine.connect() as connection:
            seq = await read_seq(connection, incident_id)
        return None if seq is None else rows.write_cursor(seq)

    async def page(self, limit: int, cursor: str | None = None, wanted: Wanted | None = None) -> Page:
        """Incidents, newest first. Raises `InvalidInput` for a cursor that is none."""
        async with self._engine.connect() as connection:
            return await read_page(connection, limit, cursor, wanted)

    async def posted(self, limit: int, teams: Collection[str] | None = None) -> list[Posted]:
        """What came in to be triaged, newest first, at most `limit`; with `teams` only their incidents."""
        async with self._engine.connect() as connection:
            return await read_posted(connection, limit, teams)

    async def incident_ids(self, status: Status | None = None) -> list[str]:
        """The ids of all incidents, or of those with this status, oldest first."""
        async with self._engine.connect() as connection:
            return await read_ids(connection, status)

    # Triage and its attempts

    async def pending(self, after: str | None = None, limit: int = CHUNK) -> list[Pending]:
        """Incidents that wait for their triage, by id, those behind `after`."""
        async with self._engine.connect() as connection:
            return await read_pending(connection, after, limit)

    async def pending_count(self, limit: int) -> int:
        """How many incidents wait for their triage, counted up to `limit`."""
        async with self._engine.connect() as connection:
            return await count_pending(connection, limit)

    async def has_triage(self, run_id: str) -> bool:
        """True if the result of this run is stored."""
        async with self._engine.connect() as connection:
            return await has_result(connection, run_id)

    async def save_triage(self, run_id: str, triage: Triage, vector: Vectors | None = None) -> None:
        """Keep a result. A second time with the same `run_id` changes nothing, nor does one of a deleted incident.

        With it is kept the `vector` of the incident's redacted text, made by the embedder that the triage names.
        """
        async with self._writing.begin() as connection:
            is_told = await keep_triage(connection, run_id, triage, vector)
        if is_told:
            self.notifications.added.set()

    async def save_failure(self, pending: Pending, reason: str, retry_at: datetime | None) -> bool:
        """Keep why an attempt failed. False, and nothing done, if the incident moved on since that attempt."""
        async with self._writing.begin() as connection:
            is_kept, is_told = await keep_failure(connection, pending, reason, retry_at)
        if is_told:
            self.notifications.added.set()
        return is_kept

    async def rearm(self, now: datetime) -> int:
        """Make failed incidents whose time to be tried again has come pending. Returns how many."""
        async with self._writing.begin() as connection:
            return await rearm_failed(connection, now)

    async def request_triage(self, incident_id: str) -> None:
        """Make an incident that was imported, or failed for good, pending. Does nothing to any other."""
        async with self._writing.begin() as connection:
            await request_attempt(connection, incident_id)

    async def request_another(self, incident_id: str) -> bool:
        """Make an incident pending that failed, or whose latest triage is degraded. False, and nothing done, for any
        other."""
        async with self._writing.begin() as connection:
            return await request_another(connection, incident_id)

    async def triage_document(self, incident_id: str) -> str | None:
        """The latest triage of an incident as JSON, as it was stored; None if there is none."""
        async with self._engine.connect() as connection:
            return await latest_document(connection, incident_id)

    async def triage_documents(self, incident_ids: Collection[str]) -> dict[str, str]:
        """Incident id -> its latest triage as JSON, for those of `incident_ids` that have one."""
        async with self._engine.connect() as connection:
            return await latest_documents_of(connection, incident_ids)

    async def triage_of_run(self, run_id: str) -> Triage | None:
        """The triage that this run made, or None."""
        async with self._engine.connect() as connection:
            document = await document_of_run(connection, run_id)
        return None if document is None else Triage.model_validate_json(document)

    async def annotation(self, annotation_id: int) -> Annotation | None:
        """The annotation with this id, or None."""
        async with self._engine.connect() as connection:
            return await read_annotation(connection, annotation_id)

    async def triage(self, incident_id: str) -> Triage | None:
        """The latest triage of an incident, or None."""
        document = await self.triage_document(incident_id)
        return None if document is None else Triage.model_validate_json(document)

    async def triages(self, incident_id: str, limit: int) -> list[Made]:
        """The triages of an incident, newest first, at most `limit`."""
        async with self._engine.connect() as connection:
            return await read_made(connection, incident_id, limit)

    async def recent(
        self, taxonomy: str, since: datetime, limit: int, teams: Collection[str] | None = None
    ) -> list[Recent]:
        """Incidents of these teams whose latest triage was made since then, newest first, at most `limit`."""
        async with self._engine.connect() as connection:
            return await read_recent(connection, taxonomy, since, limit, teams)

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
        async with self._engine.connect() as connection:
            return await read_finished(connection, limit, cursor, since, teams)

    async def newest_cursor(self) -> str:
        """The cursor for `finished` behind which stands what is stored from now on."""
        async with self._engine.connect() as connection:
            return rows.write_cursor(await settled(connection))

    async def judgements(
        self,
        taxonomy: str,
        facets: Sequence[str],
        since: datetime,
        limit: int,
        *,
        teams: Collection[str] | None = None,
        annotator: str | None = None,
        with_untriaged: bool = False,
    ) -> list[Judgement]:
        """What people said since then beside what the triage had said; newest first, at most `limit` of each facet.

        With `annotator` only that person's, with `with_untriaged` also of incidents that had no triage by then.
        """
        async with self._engine.connect() as connection:
            return await read_judgements(
                connection,
                taxonomy,
                facets,
                since,
                limit,
                teams=teams,
                annotator=annotator,
                with_untriaged=with_untriaged,
            )

    async def triaged_incidents(
        self,
        taxonomy: str,
        facets: Sequence[str],
        since: datetime,
        limit: int,
        teams: Collection[str] | None = None,
    ) -> list[TriagedIncident]:
        """The latest triages made since then, newest first, at most `limit`."""
        async with self._engine.connect() as connection:
            return await read_triaged(connection, taxonomy, facets, since, limit, teams)

    async def coverage(
        self,
        taxonomy: str,
        facets: Sequence[str],
        since: datetime,
        limit: int,
        *,
        teams: Collection[str] | None = None,
        annotator: str | None = None,
    ) -> Coverage:
        """Of the newest `limit` incidents triaged since then: how many a person, or this one, labelled."""
        async with self._engine.connect() as connection:
            return await read_coverage(connection, taxonomy, facets, since, limit, teams=teams, annotator=annotator)

    async def annotators(
        self, taxonomy: str, limit: int, teams: Collection[str] | None = None, annotator: str | None = None
    ) -> list[str]:
        """The names of the first `limit` people, by name, who labelled incidents; or just this one's, if they did."""
        async with self._engine.connect() as connection:
            return await read_annotators(connection, taxonomy, limit, teams, annotator)

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
        async with self._writing.begin() as connection:
            recorded = await record(
                connection,
                annotated,
                imported=imported or {},
                taxonomy=taxonomy,
                fingerprint=fingerprint,
                embedded=embedded or {},
                is_given_here=is_given_here,
                team=team,
                expected=expected,
            )
        if recorded.is_told:
            self.notifications.added.set()
        if marked is not None:
            marked |= recorded.marks
        return recorded.kept

    async def annotations(self, incident_id: str) -> list[Annotation]:
        """All annotations of an incident, oldest first."""
        return (await self.annotations_of([incident_id]))[incident_id]

    async def annotations_of(
        self, incident_ids: Collection[str], annotator: str | None = None
    ) -> dict[str, list[Annotation]]:
        """Incident id -> all its annotations, or those of one annotator, oldest first, for each of `incident_ids`."""
        async with self._engine.connect() as connection:
            return await read_annotations(connection, incident_ids, annotator)

    async def labelled(
        self,
        annotators: int = 1,
        *,
        before: int | None = None,
        limit: int | None = None,
        teams: Collection[str] | None = None,
        differing: bool = False,
    ) -> list[tuple[int, str]]:
        """Place and id of incidents of which so many people labelled one and the same facet, newest first.

        With `before` only those behind that place, with `teams` only those of these teams, and where they are to be
        `differing` only those where not all labels that people ever gave to that facet are the same.
        """
        async with self._engine.connect() as connection:
            return await read_labelled(connection, annotators, before, limit, teams, differing=differing)

    async def all_annotations(self, taxonomy: str) -> list[Annotation]:
        """All annotations of incidents that are labelled with this taxonomy, oldest first.

        Behind them stand the labels of the latest triage of each incident, of origin `model`.
        """
        async with self._engine.connect() as connection:
            annotated = await read_all_annotations(connection, taxonomy)
            documents = await latest_documents(connection, taxonomy)
        said = [annotation for document in documents for annotation in rows.said_by_model(document)]
        return [*annotated, *said]

    async def has_gold(self) -> bool:
        """True if any incident has a gold label."""
        async with self._engine.connect() as connection:
            return await is_any_gold(connection)

    async def gold(self, incident_ids: Collection[str]) -> dict[str, Labels]:
        """Incident id -> gold labels, for those of `incident_ids` that have any.

        An annotator's latest word on a facet counts, and so does their latest adjudication of it; of several gold ones
        a person's before any other, then the newest.
        """
        async with self._engine.connect() as connection:
            return await read_gold(connection, incident_ids)

    async def newest_gold(self, taxonomy: str, limit: int, teams: Collection[str] | None = None) -> dict[str, Labels]:
        """Incident id -> gold labels, of the `limit` incidents of a taxonomy that came in last and have any.

        Newest first; with `teams` only those of these teams.
        """
        async with self._engine.connect() as connection:
            ids = await newest_gold_ids(connection, taxonomy, limit, teams)
            gold = await read_gold(connection, ids)
        return {incident_id: gold[incident_id] for incident_id in ids if incident_id in gold}

    async def gold_ids(self) -> set[str]:
        """The ids of all incidents with gold labels: the history."""
        async with self._engine.connect() as connection:
            return await read_gold_ids(connection)

    async def history_size(self) -> int:
        """How many incidents have gold labels."""
        async with self._engine.connect() as connection:
            return await count_gold(connection)

    async def gold_pages(self, size: int = CHUNK) -> AsyncIterator[dict[str, Labels]]:
        """Incident id -> gold labels, of all incidents that have any, in portions by id. Bounded in memory."""
        after = ""
        while True:
            async with self._engine.connect() as connection:
                ids = await next_gold_ids(connection, after, size)
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
        async with self._engine.connect() as connection:
            return await read_vectors(connection, fingerprint, incident_ids)

    async def save_vectors(self, fingerprint: str, embedded: Mapping[str, Vectors]) -> None:
        """Keep vectors (incident id -> vector), in place of earlier ones of the same embedder."""
        await self.record([], fingerprint=fingerprint, embedded=embedded)
