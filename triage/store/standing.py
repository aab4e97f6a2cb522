"""Which annotations stand: each annotator's latest word and their latest adjudication."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Select, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Annotation
from triage.domain.errors import Outdated
from triage.store import rows
from triage.store.assignments import saw_model
from triage.store.records import Labelled
from triage.store.statements import chunks
from triage.store.tables import annotation_table, incident_table


async def latest(
    connection: AsyncConnection, incident_ids: Collection[str]
) -> dict[tuple[str, str, str, bool], Annotation]:
    """(incident, facet, annotator, whether an adjudication) -> the annotation that stands."""
    standing: dict[tuple[str, str, str, bool], Annotation] = {}
    for chunk in chunks(incident_ids):
        current = annotation_table.c.id.in_(standing_ids(chunk))
        query = select(*rows.ANNOTATION_COLUMNS).where(current).order_by(annotation_table.c.id)
        for annotation in map(rows.read_annotation, await connection.execute(query)):
            standing[*of_facet(annotation), *speaker(annotation)] = annotation
    return standing


async def witnessed(connection: AsyncConnection, annotation: Annotation) -> Annotation:
    """A person's annotation with `saw_model` from what was served to them."""
    if annotation.origin != "human" or annotation.is_adjudication:
        return annotation
    seen = await saw_model(connection, annotation.incident_id, annotation.annotator)
    return annotation.model_copy(update={"saw_model": seen})


async def keep(connection: AsyncConnection, annotation: Annotation) -> Annotation:
    """Store an annotation; returns it with its id."""
    insert = annotation_table.insert().values(**rows.annotation_values(annotation)).returning(annotation_table.c.id)
    return annotation.model_copy(update={"id": (await connection.execute(insert)).scalar_one()})


async def still(connection: AsyncConnection, incident_id: str, expected: Labelled) -> None:
    """Raise `Outdated` if annotations were added since it had got as far as `expected`; nobody adds any meanwhile."""
    # SQLite has one writer anyway; PostgreSQL lets the next one in when this transaction ends.
    mine = incident_table.c.id == incident_id
    await connection.execute(select(incident_table.c.seq).where(mine).with_for_update())
    now = select(func.count(), func.coalesce(func.max(annotation_table.c.id), 0)).where(
        annotation_table.c.incident_id == incident_id
    )
    if Labelled(*(await connection.execute(now)).one()) != expected:
        raise Outdated(
            f"The annotations of incident {incident_id!r} have changed since: read them again, then decide anew.",
            incident_id=incident_id,
        )


def of_facet(annotation: Annotation) -> tuple[str, str]:
    """What it is about: incident and facet."""
    return annotation.incident_id, annotation.facet


def speaker(annotation: Annotation) -> tuple[str, bool]:
    """Who says it: an annotator speaks once for themselves and once as the one who settles what others said."""
    return annotation.annotator, annotation.is_adjudication


def says_the_same(one: Annotation, other: Annotation) -> bool:
    """True if `other` adds nothing to `one`, which stood before."""
    # A label that was there before, and given again blind, is a stronger statement than one of unknown making.
    if one.saw_model is None and other.saw_model is not None:
        return False
    apart = {"created_at", "id", "saw_model"}
    return one.model_dump(exclude=apart) == other.model_dump(exclude=apart)


def standing_ids(incident_ids: Collection[str] | None) -> Select[Any]:
    """The ids of each annotator's latest annotation, and latest adjudication, of each facet."""
    query = select(func.max(annotation_table.c.id)).group_by(
        annotation_table.c.incident_id,
        annotation_table.c.facet,
        annotation_table.c.annotator,
        annotation_table.c.settles.is_(null()),
    )
    return query if incident_ids is None else query.where(annotation_table.c.incident_id.in_(incident_ids))
