"""Gold labels as they are read: of some incidents, or of all, which are the history."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, distinct, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Labels
from triage.store import rows
from triage.store.standing import standing_ids
from triage.store.statements import chunks
from triage.store.tables import annotation_table, incident_table


async def is_any_gold(connection: AsyncConnection) -> bool:
    """True if any incident has a gold label."""
    return bool((await connection.execute(select(exists().where(annotation_table.c.is_gold)))).scalar_one())


async def read_gold(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, Labels]:
    """Incident id -> gold labels, for those of `incident_ids` that have any."""
    found: dict[str, Labels] = {}
    for chunk in chunks(incident_ids):
        found |= rows.gold_labels(await connection.execute(_gold(chunk)))
    return found


async def read_gold_ids(connection: AsyncConnection) -> set[str]:
    """The ids of all incidents with gold labels."""
    return {row.incident_id for row in await connection.execute(_gold(None))}


async def count_gold(connection: AsyncConnection) -> int:
    """How many incidents have gold labels."""
    gold = _gold(None).order_by(None).subquery()
    return int((await connection.execute(select(func.count(distinct(gold.c.incident_id))))).scalar_one())


async def next_gold_ids(connection: AsyncConnection, after: str, size: int) -> list[str]:
    """The ids of the first incidents behind `after` that ever had a gold label, in their order."""
    query = (
        select(annotation_table.c.incident_id)
        .where(annotation_table.c.is_gold, annotation_table.c.incident_id > after)
        .distinct()
        .order_by(annotation_table.c.incident_id)
        .limit(size)
    )
    return list((await connection.execute(query)).scalars())


async def newest_gold_ids(
    connection: AsyncConnection, taxonomy: str, limit: int, teams: Collection[str] | None
) -> list[str]:
    """The ids of those incidents of a taxonomy that came in last and ever had a gold label, newest first."""
    is_gold = annotation_table.c.is_gold & (annotation_table.c.incident_id == incident_table.c.id)
    query = (
        select(incident_table.c.id)
        .where(incident_table.c.taxonomy == taxonomy, exists().where(is_gold).correlate(incident_table))
        .order_by(incident_table.c.seq.desc())
        .limit(limit)
    )
    if teams is not None:
        query = query.where(incident_table.c.team.in_(teams))
    return list((await connection.execute(query)).scalars())


def _gold(incident_ids: Collection[str] | None) -> Select[Any]:
    """The gold annotations of these incidents, or of all; of one facet the last one counts."""
    return (
        select(annotation_table.c.incident_id, annotation_table.c.facet, annotation_table.c.labels)
        .where(annotation_table.c.is_gold, annotation_table.c.id.in_(standing_ids(incident_ids)))
        .order_by(annotation_table.c.origin == "human", annotation_table.c.id)
    )
