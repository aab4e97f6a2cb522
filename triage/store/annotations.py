"""Annotations as they are read: of an incident, of a taxonomy, and which incidents people have labelled."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.annotation import Annotation
from triage.store import rows
from triage.store.statements import chunks
from triage.store.tables import annotation_table, incident_table


async def read_annotation(connection: AsyncConnection, annotation_id: int) -> Annotation | None:
    """The annotation with this id, or None."""
    query = select(*rows.ANNOTATION_COLUMNS).where(annotation_table.c.id == annotation_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else rows.read_annotation(row)


async def read_annotations(connection: AsyncConnection, incident_ids: Collection[str]) -> dict[str, list[Annotation]]:
    """Incident id -> all its annotations, oldest first, for each of `incident_ids`."""
    found: dict[str, list[Annotation]] = {incident_id: [] for incident_id in incident_ids}
    for chunk in chunks(incident_ids):
        mine = annotation_table.c.incident_id.in_(chunk)
        query = select(*rows.ANNOTATION_COLUMNS).where(mine).order_by(annotation_table.c.id)
        for annotation in map(rows.read_annotation, await connection.execute(query)):
            found[annotation.incident_id].append(annotation)
    return found


async def read_labelled(
    connection: AsyncConnection,
    annotators: int,
    before: int | None,
    limit: int | None,
    teams: Collection[str] | None,
) -> list[tuple[int, str]]:
    """See `Store.labelled`."""
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
    return [(row.seq, row.id) for row in await connection.execute(query)]


async def read_all_annotations(connection: AsyncConnection, taxonomy: str) -> list[Annotation]:
    """All annotations of incidents that are labelled with this taxonomy, oldest first."""
    query = (
        select(*rows.ANNOTATION_COLUMNS)
        .join(incident_table, incident_table.c.id == annotation_table.c.incident_id)
        .where(incident_table.c.taxonomy == taxonomy)
        .order_by(annotation_table.c.id)
    )
    return [rows.read_annotation(row) for row in await connection.execute(query)]
