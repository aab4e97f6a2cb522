"""Stored triage results: one for each run; the latest of an incident counts.

They can be read in the order in which they were stored, although PostgreSQL assigns ids before it commits: a triage
with a smaller id can become visible after one with a larger id. Each writer therefore announces, with a lock that ends
with its transaction, from which id on it may add a triage, and a reader stops there. Nobody waits for anyone.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Delete, Row, Select, exists, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.incident import Incident
from triage.domain.triage_result import Triage
from triage.models.embedding import Vectors
from triage.store.attempts import Pending
from triage.store.cursor import read_cursor, write_cursor
from triage.store.database import Database, read_row
from triage.store.notifications import Notifications, notify
from triage.store.tables import in_teams, incident_table, provisional_table, triage_table
from triage.store.vectors import save_vector

_Filtered = TypeVar("_Filtered", Select[Any], Delete)

# Any number that no other lock of the database has.
_LOCKS = 2511
_LAST_ID = "coalesce(pg_sequence_last_value(pg_get_serial_sequence('triages', 'id')::regclass), 0)"
_ANNOUNCE = text(f"SELECT pg_advisory_xact_lock_shared(:locks, least({_LAST_ID}, 2147483647)::int)")
_ANNOUNCED = text(
    "SELECT min(objid::bigint) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND granted "
    "AND classid::bigint = :locks AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


class Finished(NamedTuple):
    """A stored triage; `document` is all of it as JSON."""

    incident_id: str
    degraded: bool
    created_at: datetime
    document: str


class FinishedPage(NamedTuple):
    """Some triages, first stored first, and the cursor after the last of them."""

    triages: tuple[Finished, ...]
    next_cursor: str
    has_more: bool


class TriageRun(NamedTuple):
    """A triage of an incident, and the run that made it."""

    run_id: str
    triage: Triage


class Recent(NamedTuple):
    """An incident with its latest triage; `document` is all of it as JSON."""

    incident: Incident
    team: str
    document: str


@dataclass
class Triages:
    """The triages of all incidents."""

    database: Database
    notifications: Notifications

    async def save(self, run_id: str, triage: Triage, vector: Vectors | None = None) -> None:
        """Store a result, and the `vector` of the incident's redacted text by the embedder that the triage names.

        Does nothing if this run is stored already or the incident was deleted.
        """
        async with self.database.write() as connection:
            if (await connection.execute(_of_run(run_id))).first() is not None:
                return
            # Locked until the result is stored: a deletion comes before both or after both.
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
            await connection.execute(_provisional_of(provisional_table.delete(), triage.incident_id))
            if vector is not None:
                await save_vector(connection, triage.incident_id, triage.provenance.embedder, vector)
            await connection.execute(
                incident_table.update()
                .where(incident_table.c.id == triage.incident_id)
                .values(status="triaged", failures=0, failure=None, retry_at=None, updated_at=datetime.now(UTC))
            )
            is_notified = await notify(connection, "triaged", triage.incident_id, run_id)
        if is_notified:
            self.notifications.added.set()

    async def save_provisional(self, pending: Pending, triage: Triage) -> bool:
        """Store the provisional triage of this attempt in place of an earlier one. It is no run, and notifies nobody.

        Does nothing and returns False if the attempt has ended or the incident was deleted.
        """
        async with self.database.write() as connection:
            # Locked until it is stored: the attempt's result comes before both or after both.
            waits = select(incident_table.c.id).filter_by(id=pending.id, status="pending", attempts=pending.attempt)
            if (await connection.execute(waits.with_for_update())).one_or_none() is None:
                return False
            await connection.execute(_provisional_of(provisional_table.delete(), pending.id))
            values = {"incident_id": pending.id, "document": triage.model_dump_json()}
            await connection.execute(provisional_table.insert().values(values))
            return True

    async def find_provisional(self, incident_id: str) -> str | None:
        """The provisional triage of an incident as the stored JSON, or None: once it is triaged, it has none."""
        document: str | None = await self.database.value(
            _provisional_of(select(provisional_table.c.document), incident_id)
        )
        return document

    async def exists(self, run_id: str) -> bool:
        """True if the result of this run is stored."""
        return await self.database.value(_of_run(run_id)) is not None

    async def find(self, incident_id: str) -> Triage | None:
        """The latest triage of an incident, or None."""
        return _parsed(await self.find_document(incident_id))

    async def find_of_run(self, run_id: str) -> Triage | None:
        """The triage that this run made, or None."""
        query = select(triage_table.c.document).where(triage_table.c.run_id == run_id)
        return _parsed(await self.database.value(query))

    async def find_document(self, incident_id: str) -> str | None:
        """The latest triage of an incident as the stored JSON, or None."""
        document: str | None = await self.database.value(_newest_first(triage_table.c.document, incident_id, 1))
        return document

    async def find_documents(self, incident_ids: Collection[str]) -> dict[str, str]:
        """Incident id -> its latest triage as JSON; incidents without one are left out."""
        of = triage_table.c
        latest = select(func.max(of.id)).group_by(of.incident_id)
        query = select(of.incident_id, of.document)
        rows = await self.database.rows_of(
            incident_ids, lambda chunk: query.where(of.id.in_(latest.where(of.incident_id.in_(chunk))))
        )
        return {row.incident_id: row.document for row in rows}

    async def find_documents_by_id(self, triage_ids: Collection[int]) -> dict[int, str]:
        """Triage id -> the triage as JSON; missing ones are left out."""
        query = select(triage_table.c.id, triage_table.c.document)
        rows = await self.database.rows_of(triage_ids, lambda chunk: query.where(triage_table.c.id.in_(chunk)))
        return {row.id: row.document for row in rows}

    async def list(self, incident_id: str, limit: int) -> Sequence[TriageRun]:
        """The triages of an incident, newest first, at most `limit`."""
        found = await self.database.rows(_newest_first(triage_table, incident_id, limit))
        return [TriageRun(row.run_id, Triage.model_validate_json(row.document)) for row in found]

    async def list_recent(
        self, taxonomy: str, since: datetime, limit: int, teams: Collection[str] | None = None
    ) -> Sequence[Recent]:
        """Incidents of these teams whose latest triage was made since then, newest first, at most `limit`."""
        newest = newest_triages(taxonomy, since, limit, teams).subquery()
        query = (
            select(incident_table, triage_table.c.document)
            .join(newest, newest.c.id == triage_table.c.id)
            .join(incident_table, incident_table.c.id == triage_table.c.incident_id)
            .order_by(triage_table.c.created_at.desc(), triage_table.c.id.desc())
        )
        return [Recent(read_row(Incident, row), row.team, row.document) for row in await self.database.rows(query)]

    async def list_finished(
        self,
        limit: int,
        cursor: str | None = None,
        *,
        since: datetime | None = None,
        teams: Collection[str] | None = None,
    ) -> FinishedPage:
        """Triages in the order in which they were stored: those after the cursor or, without one, made `since` then.

        A client that continues from `next_cursor` sees each triage once and misses none, whatever is stored meanwhile.
        """
        after = None if cursor is None else read_cursor(cursor)
        async with self.database.read() as connection:
            found = await _read_finished(connection, limit + 1, after, since, teams)
        last = found[:limit][-1].id if found else after or 0
        listed = tuple(Finished(row.incident_id, row.degraded, row.created_at, row.document) for row in found[:limit])
        return FinishedPage(listed, write_cursor(last), has_more=len(found) > limit)

    async def get_newest_cursor(self) -> str:
        """The cursor for `list_finished` after which everything stored from now on follows."""
        async with self.database.read() as connection:
            return write_cursor(await _read_last_final(connection))


async def announce(connection: AsyncConnection) -> None:
    """Announce that this transaction will store a triage. Call it before the id is assigned."""
    if connection.dialect.name == "postgresql":
        await connection.execute(_ANNOUNCE, {"locks": _LOCKS})


async def _read_finished(
    connection: AsyncConnection, limit: int, after: int | None, since: datetime | None, teams: Collection[str] | None
) -> Sequence[Row[Any]]:
    """Triages with ids after `after`, up to the last id before which none can be added any more."""
    last = await _read_last_final(connection)
    query = select(triage_table).where(triage_table.c.id <= last).order_by(triage_table.c.id).limit(limit)
    if after is not None:
        query = query.where(triage_table.c.id > after)
    elif since is not None:
        query = query.where(triage_table.c.created_at >= since)
    if teams is not None:
        mine = select(incident_table.c.id).where(*in_teams(teams))
        query = query.where(triage_table.c.incident_id.in_(mine))
    return (await connection.execute(query)).all()


async def _read_last_final(connection: AsyncConnection) -> int:
    """The id up to which no triage can be added any more."""
    if connection.dialect.name == "postgresql":
        # Each statement must see what was committed before it.
        await connection.execution_options(isolation_level="READ COMMITTED")
    # Read the newest id before the locks: a later writer gets a larger id.
    newest = (await connection.execute(select(func.max(triage_table.c.id)))).scalar_one() or 0
    if connection.dialect.name == "postgresql":
        announced = (await connection.execute(_ANNOUNCED, {"locks": _LOCKS})).scalar_one()
        newest = newest if announced is None else min(newest, announced)
    return int(newest)


def newest_triages(taxonomy: str, since: datetime, limit: int, teams: Collection[str] | None) -> Select[Any]:
    """Ids and incidents of the latest triages of at most `limit` incidents, made since then, newest first."""
    later = triage_table.alias()
    has_later = exists().where(later.c.incident_id == triage_table.c.incident_id, later.c.id > triage_table.c.id)
    is_of = [incident_table.c.taxonomy == taxonomy, *in_teams(teams)]
    return (
        select(triage_table.c.id, triage_table.c.incident_id)
        .join(incident_table, incident_table.c.id == triage_table.c.incident_id)
        .where(triage_table.c.created_at >= since, ~has_later, *is_of)
        .order_by(triage_table.c.created_at.desc(), triage_table.c.id.desc())
        .limit(limit)
    )


def _of_run(run_id: str) -> Select[Any]:
    return select(triage_table.c.id).where(triage_table.c.run_id == run_id)


def _newest_first(columns: Any, incident_id: str, limit: int) -> Select[Any]:
    mine = triage_table.c.incident_id == incident_id
    return select(columns).where(mine).order_by(triage_table.c.id.desc()).limit(limit)


def _provisional_of(statement: _Filtered, incident_id: str) -> _Filtered:
    return statement.where(provisional_table.c.incident_id == incident_id)


def _parsed(document: str | None) -> Triage | None:
    return None if document is None else Triage.model_validate_json(document)
