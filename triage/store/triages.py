"""Results of triage as they are kept: one for each run, of which an incident's latest counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.triage_result import Triage
from triage.models.embedding import Vectors
from triage.store import rows
from triage.store.completion import announce, finished
from triage.store.notifications import notify
from triage.store.records import Finished, FinishedPage, Made, Recent
from triage.store.statements import chunks
from triage.store.tables import incident_table, triage_table
from triage.store.vectors import keep_vector


async def has_result(connection: AsyncConnection, run_id: str) -> bool:
    """True if the result of this run is stored."""
    return bool((await connection.execute(select(exists().where(triage_table.c.run_id == run_id)))).scalar_one())


async def keep_triage(connection: AsyncConnection, run_id: str, triage: Triage, vector: Vectors | None = None) -> bool:
    """Keep a result, see `Store.save_triage`. True if anyone is to be notified of it."""
    if await has_result(connection, run_id):
        return False
    # Held until the result is in: a deletion comes before both or after both.
    held = select(incident_table.c.id).where(incident_table.c.id == triage.incident_id)
    if (await connection.execute(held.with_for_update())).one_or_none() is None:
        return False
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
    if vector is not None:
        await keep_vector(connection, triage.incident_id, triage.provenance.embedder, vector)
    await connection.execute(
        incident_table.update()
        .where(incident_table.c.id == triage.incident_id)
        .values(status="triaged", failures=0, failure=None, retry_at=None, updated_at=datetime.now(UTC))
    )
    return await notify(connection, "triaged", triage.incident_id, run_id)


async def latest_document(connection: AsyncConnection, incident_id: str) -> str | None:
    """The latest triage of an incident as JSON, as it was stored; None if there is none."""
    query = (
        select(triage_table.c.document)
        .where(triage_table.c.incident_id == incident_id)
        .order_by(triage_table.c.id.desc())
        .limit(1)
    )
    document: str | None = (await connection.execute(query)).scalar_one_or_none()
    return document


async def latest_documents_of(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, str]:
    """Incident id -> its latest triage as JSON, for those of `incident_ids` that have one."""
    found: dict[str, str] = {}
    for chunk in chunks(incident_ids):
        latest = (
            select(func.max(triage_table.c.id))
            .where(triage_table.c.incident_id.in_(chunk))
            .group_by(triage_table.c.incident_id)
        )
        query = select(triage_table.c.incident_id, triage_table.c.document).where(triage_table.c.id.in_(latest))
        found.update((row.incident_id, row.document) for row in await connection.execute(query))
    return found


async def latest_documents(connection: AsyncConnection, taxonomy: str) -> Sequence[str]:
    """The latest triage of each incident that is labelled with this taxonomy as JSON, oldest first."""
    latest = select(func.max(triage_table.c.id)).group_by(triage_table.c.incident_id)
    query = (
        select(triage_table.c.document)
        .join(incident_table, incident_table.c.id == triage_table.c.incident_id)
        .where(incident_table.c.taxonomy == taxonomy, triage_table.c.id.in_(latest))
        .order_by(triage_table.c.id)
    )
    return (await connection.execute(query)).scalars().all()


async def read_recent(
    connection: AsyncConnection, taxonomy: str, since: datetime, limit: int, teams: Collection[str] | None
) -> list[Recent]:
    """See `Store.recent`."""
    later = triage_table.alias()
    has_later = exists().where(later.c.incident_id == triage_table.c.incident_id, later.c.id > triage_table.c.id)
    newest = (
        select(triage_table.c.id)
        .join(incident_table, incident_table.c.id == triage_table.c.incident_id)
        .where(triage_table.c.created_at >= since, ~has_later, incident_table.c.taxonomy == taxonomy)
        .order_by(triage_table.c.created_at.desc(), triage_table.c.id.desc())
        .limit(limit)
    )
    if teams is not None:
        newest = newest.where(incident_table.c.team.in_(sorted(teams)))
    chosen = newest.subquery()
    query = (
        select(incident_table, triage_table.c.document)
        .join(chosen, chosen.c.id == triage_table.c.id)
        .join(incident_table, incident_table.c.id == triage_table.c.incident_id)
        .order_by(triage_table.c.created_at.desc(), triage_table.c.id.desc())
    )
    return [Recent(rows.read_incident(row), row.team, row.document) for row in await connection.execute(query)]


async def document_of_run(connection: AsyncConnection, run_id: str) -> str | None:
    """The triage that this run made as JSON, or None."""
    query = select(triage_table.c.document).where(triage_table.c.run_id == run_id)
    document: str | None = (await connection.execute(query)).scalar_one_or_none()
    return document


async def read_made(connection: AsyncConnection, incident_id: str, limit: int) -> list[Made]:
    """See `Store.triages`."""
    query = (
        select(triage_table.c.run_id, triage_table.c.document)
        .where(triage_table.c.incident_id == incident_id)
        .order_by(triage_table.c.id.desc())
        .limit(limit)
    )
    found = await connection.execute(query)
    return [Made(row.run_id, Triage.model_validate_json(row.document)) for row in found]


async def read_finished(
    connection: AsyncConnection,
    limit: int,
    cursor: str | None,
    since: datetime | None,
    teams: Collection[str] | None,
) -> FinishedPage:
    """See `Store.finished`."""
    after = None if cursor is None else rows.read_cursor(cursor)
    found = await finished(connection, limit + 1, after, since, teams)
    last = found[:limit][-1].id if found else after or 0
    listed = tuple(Finished(row.incident_id, row.degraded, row.created_at, row.document) for row in found[:limit])
    return FinishedPage(listed, rows.write_cursor(last), has_more=len(found) > limit)
