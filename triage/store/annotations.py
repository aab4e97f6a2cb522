"""Annotations as they are read: of an incident, of a taxonomy, and which incidents people have labelled."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Text, case, cast, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Annotation
from triage.store import rows
from triage.store.incidents import conditions
from triage.store.records import Wanted
from triage.store.statements import chunks
from triage.store.tables import annotation_table, incident_table


async def read_annotation(connection: AsyncConnection, annotation_id: int) -> Annotation | None:
    """The annotation with this id, or None."""
    query = select(*rows.ANNOTATION_COLUMNS).where(annotation_table.c.id == annotation_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else rows.read_annotation(row)


async def read_annotations(
    connection: AsyncConnection, incident_ids: Collection[str], annotator: str | None = None
) -> dict[str, list[Annotation]]:
    """See `Store.annotations_of`."""
    found: dict[str, list[Annotation]] = {incident_id: [] for incident_id in incident_ids}
    for chunk in chunks(incident_ids):
        mine = annotation_table.c.incident_id.in_(chunk)
        query = select(*rows.ANNOTATION_COLUMNS).where(mine).order_by(annotation_table.c.id)
        if annotator is not None:
            query = query.where(annotation_table.c.annotator == annotator)
        for annotation in map(rows.read_annotation, await connection.execute(query)):
            found[annotation.incident_id].append(annotation)
    return found


async def read_labelled(
    connection: AsyncConnection,
    annotators: int,
    before: int | None,
    limit: int | None,
    teams: Collection[str] | None,
    *,
    differing: bool,
) -> list[tuple[int, str]]:
    """See `Store.labelled`."""
    of = annotation_table.c
    # An adjudication is no opinion of its own, but somebody may have come to contradict it.
    by_people = func.count(case((of.settles.is_(null()), of.annotator)).distinct())
    held = [by_people >= annotators]
    if differing:
        # PostgreSQL compares no JSON; both databases keep it as the text that was written.
        held.append(func.count(cast(of.labels, Text).distinct()) > 1)
    # Looked for incident by incident, so that a portion is read without looking at all there is.
    is_labelled = (
        select(of.facet)
        .where(of.incident_id == incident_table.c.id, of.origin == "human")
        .group_by(of.facet)
        .having(*held)
        .exists()
    )
    query = (
        select(incident_table.c.seq, incident_table.c.id)
        .where(is_labelled, *conditions(Wanted(teams=teams)))
        .order_by(incident_table.c.seq.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(incident_table.c.seq < before)
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
