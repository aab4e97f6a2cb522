"""What people said of incidents that had been triaged, beside what the triage had said by then."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import JSON, Column, ColumnElement, Select, case, cast, exists, func, null, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.store.tables import annotation_table, incident_table, triage_table


class Judgement(NamedTuple):
    """One person's last word on a facet of an incident, and the labels of the triage that stood at that moment.

    `triaged` is empty where that triage abstained, and None where there was none by then.
    """

    incident_id: str
    facet: str
    annotator: str
    labels: tuple[str, ...]
    given_at: datetime
    saw_model: bool | None
    triaged: tuple[str, ...] | None


class TriagedIncident(NamedTuple):
    """An incident's latest triage: when it was made, facet -> labels, and the facets that a person has labelled."""

    created_at: datetime
    labels: dict[str, tuple[str, ...]]
    labelled: frozenset[str]


class Coverage(NamedTuple):
    """How many triaged incidents there are, and facet -> how many of them a person labelled."""

    triaged: int
    labelled: dict[str, int]


async def read_judgements(
    connection: AsyncConnection,
    taxonomy: str,
    facets: Sequence[str],
    since: datetime,
    limit: int,
    *,
    teams: Collection[str] | None = None,
    annotator: str | None = None,
    with_untriaged: bool = False,
) -> list[Judgement]:
    """At most `limit` judgements of each facet given since then, newest first; see `Store.judgements`.

    An adjudication settles what others said, and is no further judgement.
    """
    later = annotation_table.alias()
    has_later = exists().where(
        later.c.incident_id == annotation_table.c.incident_id,
        later.c.id > annotation_table.c.id,
        later.c.facet == annotation_table.c.facet,
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
    newest_first = (annotation_table.c.created_at.desc(), annotation_table.c.id.desc())
    place = func.row_number().over(partition_by=annotation_table.c.facet, order_by=newest_first)
    ranked = (
        select(annotation_table.c.id, stood.label("triage_id"), place.label("place"))
        .join(incident_table, incident_table.c.id == annotation_table.c.incident_id)
        .where(
            annotation_table.c.facet.in_(facets),
            *_by_a_person(annotator),
            annotation_table.c.created_at >= since,
            ~has_later,
            *([] if with_untriaged else [stood.is_not(None)]),
            *_of(taxonomy, teams),
        )
        .subquery()
    )
    # Only the documents of those that are counted are read.
    said = case(*((annotation_table.c.facet == facet, labels_in(connection, facet)) for facet in facets))
    query: Select[Any] = (
        select(
            *(annotation_table.c[name] for name in ("incident_id", "facet", "annotator", "labels", "saw_model")),
            annotation_table.c.created_at,
            said.label("triaged"),
        )
        .select_from(ranked)
        .join(annotation_table, annotation_table.c.id == ranked.c.id)
        .outerjoin(triage_table, triage_table.c.id == ranked.c.triage_id)
        .where(ranked.c.place <= limit)
        .order_by(*newest_first)
    )
    return [
        Judgement(
            row.incident_id,
            row.facet,
            row.annotator,
            tuple(row.labels),
            row.created_at,
            row.saw_model,
            None if row.triaged is None else tuple(row.triaged),
        )
        for row in await connection.execute(query)
        if with_untriaged or row.triaged is not None
    ]


async def read_coverage(
    connection: AsyncConnection,
    taxonomy: str,
    facets: Sequence[str],
    since: datetime,
    limit: int,
    *,
    teams: Collection[str] | None = None,
    annotator: str | None = None,
) -> Coverage:
    """Of the newest `limit` incidents triaged since then: how many a person, or this one, labelled."""
    newest = _newest_triages(taxonomy, since, limit, teams).subquery()
    labelled = [
        func.count(
            case(
                (
                    exists()
                    .where(
                        annotation_table.c.incident_id == newest.c.incident_id,
                        annotation_table.c.facet == facet,
                        *_by_a_person(annotator),
                    )
                    .correlate(newest),
                    1,
                )
            )
        )
        for facet in facets
    ]
    triaged, *counts = (await connection.execute(select(func.count(newest.c.id), *labelled))).one()
    return Coverage(triaged, dict(zip(facets, counts, strict=True)))


async def read_annotators(
    connection: AsyncConnection, taxonomy: str, limit: int, teams: Collection[str] | None, annotator: str | None = None
) -> list[str]:
    """The names of the first `limit` people, by name, who labelled an incident; or just this one's, if they did."""
    query = (
        select(annotation_table.c.annotator)
        .join(incident_table, incident_table.c.id == annotation_table.c.incident_id)
        .where(*_by_a_person(annotator), *_of(taxonomy, teams))
        .distinct()
        .order_by(annotation_table.c.annotator)
        .limit(limit)
    )
    return list((await connection.execute(query)).scalars())


async def read_triaged(
    connection: AsyncConnection,
    taxonomy: str,
    facets: Sequence[str],
    since: datetime,
    limit: int,
    teams: Collection[str] | None = None,
) -> list[TriagedIncident]:
    """At most `limit` incidents whose latest triage was made since then, newest first."""
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
    newest = _newest_triages(taxonomy, since, limit, teams).subquery()
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


def _newest_triages(taxonomy: str, since: datetime, limit: int, teams: Collection[str] | None) -> Select[Any]:
    """Ids and incidents of the latest triages of at most `limit` incidents, made since then, newest first."""
    later = triage_table.alias()
    has_later = exists().where(later.c.incident_id == triage_table.c.incident_id, later.c.id > triage_table.c.id)
    return (
        select(triage_table.c.id, triage_table.c.incident_id)
        .join(incident_table, incident_table.c.id == triage_table.c.incident_id)
        .where(triage_table.c.created_at >= since, ~has_later, *_of(taxonomy, teams))
        .order_by(triage_table.c.created_at.desc(), triage_table.c.id.desc())
        .limit(limit)
    )


def _by_a_person(annotator: str | None) -> list[ColumnElement[bool]]:
    """What holds of an opinion of a person, or of this one."""
    of = annotation_table.c
    named = [] if annotator is None else [of.annotator == annotator]
    return [of.origin == "human", of.settles.is_(null()), *named]


def _of(taxonomy: str, teams: Collection[str] | None) -> list[ColumnElement[bool]]:
    """What holds of the incidents that are looked at."""
    of = incident_table.c
    return [of.taxonomy == taxonomy, *([] if teams is None else [of.team.in_(teams)])]


def labels_in(connection: AsyncConnection, facet: str) -> ColumnElement[Any]:
    """The labels of a facet, read by the database out of the stored triage: the documents stay where they are."""
    column: Column[Any] = triage_table.c.document
    # SQLite reads JSON out of text as it is, and would turn a cast one into a number.
    document: ColumnElement[Any] = (
        type_coerce(column, JSON) if connection.dialect.name == "sqlite" else cast(column, JSON)
    )
    return document["facets"][facet]["labels"]
