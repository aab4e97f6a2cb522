"""What people said of incidents that had been triaged, beside what the triage had said by then."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import JSON, Column, ColumnElement, Select, cast, exists, func, null, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.annotation import Annotation
from triage.store import rows
from triage.store.tables import annotation_table, incident_table, triage_table


class Judgement(NamedTuple):
    """One person's last word on a facet of an incident, and the labels of the triage that stood at that moment (empty
    where it abstained)."""

    annotation: Annotation
    triaged: tuple[str, ...]


class TriagedIncident(NamedTuple):
    """An incident's latest triage: when it was made, facet -> labels, and the facets that a person has labelled."""

    created_at: datetime
    labels: dict[str, tuple[str, ...]]
    labelled: frozenset[str]


async def read_judgements(
    connection: AsyncConnection, taxonomy: str, facet: str, since: datetime, limit: int
) -> list[Judgement]:
    """At most `limit` judgements given since then, newest first; incidents that had no triage by then have none.

    An adjudication settles what others said, and is no further judgement.
    """
    later = annotation_table.alias()
    has_later = exists().where(
        later.c.incident_id == annotation_table.c.incident_id,
        later.c.id > annotation_table.c.id,
        later.c.facet == facet,
        later.c.origin == "human",
        later.c.settles.is_(null()),
        later.c.annotator == annotation_table.c.annotator,
    )
    stood = (
        select(func.max(triage_table.c.id))
        .where(
            triage_table.c.incident_id == annotation_table.c.incident_id,
            triage_table.c.created_at <= annotation_table.c.created_at,
        )
        .correlate(annotation_table)
        .scalar_subquery()
    )
    newest = (
        select(annotation_table.c.id, stood.label("triage_id"))
        .join(incident_table, incident_table.c.id == annotation_table.c.incident_id)
        .where(
            annotation_table.c.facet == facet,
            annotation_table.c.origin == "human",
            annotation_table.c.settles.is_(null()),
            annotation_table.c.created_at >= since,
            ~has_later,
            stood.is_not(None),
            incident_table.c.taxonomy == taxonomy,
        )
        .order_by(annotation_table.c.created_at.desc(), annotation_table.c.id.desc())
        .limit(limit)
        .subquery()
    )
    # Only the documents of those that are counted are read.
    query: Select[Any] = (
        select(*rows.ANNOTATION_COLUMNS, labels_in(connection, facet).label("said"))
        .select_from(newest)
        .join(annotation_table, annotation_table.c.id == newest.c.id)
        .join(triage_table, triage_table.c.id == newest.c.triage_id)
        .order_by(annotation_table.c.created_at.desc(), annotation_table.c.id.desc())
    )
    return [
        Judgement(rows.read_annotation(row), tuple(row.said))
        for row in await connection.execute(query)
        if row.said is not None
    ]


async def read_triaged(
    connection: AsyncConnection, taxonomy: str, facets: Sequence[str], since: datetime, limit: int
) -> list[TriagedIncident]:
    """At most `limit` incidents whose latest triage was made since then, newest first."""
    later = triage_table.alias()
    has_later = exists().where(later.c.incident_id == triage_table.c.incident_id, later.c.id > triage_table.c.id)
    said = [labels_in(connection, facet).label(f"said_{n}") for n, facet in enumerate(facets)]
    labelled = [
        exists()
        .where(
            annotation_table.c.incident_id == triage_table.c.incident_id,
            annotation_table.c.facet == facet,
            annotation_table.c.origin == "human",
        )
        .correlate(triage_table)
        .label(f"labelled_{n}")
        for n, facet in enumerate(facets)
    ]
    newest = (
        select(triage_table.c.id)
        .join(incident_table, incident_table.c.id == triage_table.c.incident_id)
        .where(triage_table.c.created_at >= since, ~has_later, incident_table.c.taxonomy == taxonomy)
        .order_by(triage_table.c.created_at.desc(), triage_table.c.id.desc())
        .limit(limit)
        .subquery()
    )
    query = (
        select(triage_table.c.created_at, *said, *labelled)
        .join(newest, newest.c.id == triage_table.c.id)
        .order_by(triage_table.c.created_at.desc(), triage_table.c.id.desc())
    )
    found = []
    for created_at, *values in await connection.execute(query):
        given = {facet: tuple(labels) for facet, labels in zip(facets, values, strict=False) if labels is not None}
        known = frozenset(facet for facet, is_known in zip(facets, values[len(facets) :], strict=True) if is_known)
        found.append(TriagedIncident(created_at, given, known))
    return found


def labels_in(connection: AsyncConnection, facet: str) -> ColumnElement[Any]:
    """The labels of a facet, read by the database out of the stored triage: the documents stay where they are."""
    column: Column[Any] = triage_table.c.document
    # SQLite reads JSON out of text as it is, and would turn a cast one into a number.
    document: ColumnElement[Any] = (
        type_coerce(column, JSON) if connection.dialect.name == "sqlite" else cast(column, JSON)
    )
    return document["facets"][facet]["labels"]
