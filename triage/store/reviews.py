"""Reviews: what people said about triaged incidents, beside what the triage had said by then."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import JSON, Column, ColumnElement, Select, case, cast, exists, func, null, select, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import NOT_TOLD
from triage.store.database import Database
from triage.store.tables import annotation_table, in_teams, incident_table, triage_table
from triage.store.triages import newest_triages


class Judgement(NamedTuple):
    """A person's latest labels for a facet of an incident, and the labels of the triage at that moment.

    `labels` are `NOT_TOLD` if the person said so. `triaged` is empty if that triage abstained, and None if there was
    none yet.
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


@dataclass
class Reviews:
    """People's labels of triaged incidents. An adjudication settles what others said, and is no review of its own."""

    database: Database

    async def list(
        self,
        taxonomy: str,
        facets: Sequence[str],
        since: datetime,
        limit: int,
        *,
        teams: Collection[str] | None = None,
        annotator: str | None = None,
        with_untriaged: bool = False,
    ) -> Sequence[Judgement]:
        """Reviews since then, newest first, at most `limit` of each facet.

        With `annotator` only that person's, with `with_untriaged` also of incidents that had no triage by then.
        """
        of = annotation_table.c
        later = annotation_table.alias()
        has_later = exists().where(
            later.c.incident_id == of.incident_id,
            later.c.id > of.id,
            later.c.facet == of.facet,
            later.c.origin == "human",
            later.c.settles.is_(null()),
            later.c.annotator == of.annotator,
        )
        current_triage = (
            select(func.max(triage_table.c.id))
            .where(triage_table.c.incident_id == of.incident_id, triage_table.c.created_at <= of.created_at)
            .correlate(annotation_table)
            .scalar_subquery()
        )
        newest_first = (of.created_at.desc(), of.id.desc())
        place = func.row_number().over(partition_by=of.facet, order_by=newest_first)
        ranked = (
            select(of.id, current_triage.label("triage_id"), place.label("place"))
            .join(incident_table, incident_table.c.id == of.incident_id)
            .where(
                of.facet.in_(facets),
                *_by_a_person(annotator),
                of.created_at >= since,
                ~has_later,
                *([] if with_untriaged else [current_triage.is_not(None)]),
                *_of(taxonomy, teams),
            )
            .subquery()
        )
        async with self.database.read() as connection:
            # Only the documents of the reviews that are returned are read.
            triaged = case(*((of.facet == facet, labels_in(connection, facet)) for facet in facets))
            query: Select[Any] = (
                select(
                    *(of[name] for name in ("incident_id", "facet", "annotator", "labels", "created_at", "saw_model")),
                    triaged.label("triaged"),
                )
                .select_from(ranked)
                .join(annotation_table, of.id == ranked.c.id)
                .outerjoin(triage_table, triage_table.c.id == ranked.c.triage_id)
                .where(ranked.c.place <= limit)
                .order_by(*newest_first)
            )
            rows = (await connection.execute(query)).all()
        return [
            Judgement(
                key,
                facet,
                annotator,
                tuple(labels) or (NOT_TOLD,),
                at,
                saw_model,
                None if triaged is None else tuple(triaged),
            )
            for key, facet, annotator, labels, at, saw_model, triaged in rows
            if with_untriaged or triaged is not None
        ]

    async def list_triaged(
        self,
        taxonomy: str,
        facets: Sequence[str],
        since: datetime,
        limit: int,
        teams: Collection[str] | None = None,
    ) -> Sequence[TriagedIncident]:
        """At most `limit` incidents whose latest triage was made since then, newest first."""
        of = annotation_table.c
        by_people = exists().where(of.incident_id == triage_table.c.incident_id, of.origin == "human")
        labelled = [
            by_people.where(of.facet == facet).correlate(triage_table).label(f"labelled_{n}")
            for n, facet in enumerate(facets)
        ]
        newest = newest_triages(taxonomy, since, limit, teams).subquery()
        async with self.database.read() as connection:
            query = (
                select(triage_table.c.created_at, *label_columns(connection, facets), *labelled)
                .join(newest, newest.c.id == triage_table.c.id)
                .order_by(triage_table.c.created_at.desc(), triage_table.c.id.desc())
            )
            rows = (await connection.execute(query)).all()
        return [
            TriagedIncident(
                row.created_at,
                read_labels(row, facets),
                frozenset(facet for n, facet in enumerate(facets) if getattr(row, f"labelled_{n}")),
            )
            for row in rows
        ]

    async def count_coverage(
        self,
        taxonomy: str,
        facets: Sequence[str],
        since: datetime,
        limit: int,
        *,
        teams: Collection[str] | None = None,
        annotator: str | None = None,
    ) -> Coverage:
        """Of the newest `limit` incidents triaged since then: how many a person, or this person, labelled."""
        newest = newest_triages(taxonomy, since, limit, teams).subquery()
        of = annotation_table.c
        by_people = exists().where(of.incident_id == newest.c.incident_id, *_by_a_person(annotator))
        labelled = [func.count(case((by_people.where(of.facet == facet).correlate(newest), 1))) for facet in facets]
        (triaged, *counts), *_ = await self.database.rows(select(func.count(newest.c.id), *labelled))
        return Coverage(triaged, dict(zip(facets, counts, strict=True)))

    async def list_annotators(
        self, taxonomy: str, limit: int, teams: Collection[str] | None = None, annotator: str | None = None
    ) -> Sequence[str]:
        """The first `limit` people, by name, who labelled incidents; or only this person, if they did."""
        query = (
            select(annotation_table.c.annotator)
            .join(incident_table, incident_table.c.id == annotation_table.c.incident_id)
            .where(*_by_a_person(annotator), *_of(taxonomy, teams))
            .distinct()
            .order_by(annotation_table.c.annotator)
            .limit(limit)
        )
        return await self.database.values(query)


def label_columns(connection: AsyncConnection, facets: Sequence[str]) -> list[ColumnElement[Any]]:
    """The labels of facets, read by the database from the stored triages, for `read_labels`."""
    return [labels_in(connection, facet).label(f"labels_{n}") for n, facet in enumerate(facets)]


def read_labels(row: Any, facets: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Facet -> labels of a row with `label_columns`."""
    found = {facet: getattr(row, f"labels_{n}") for n, facet in enumerate(facets)}
    return {facet: tuple(labels) for facet, labels in found.items() if labels is not None}


def labels_in(connection: AsyncConnection, facet: str) -> ColumnElement[Any]:
    """The labels of a facet, read by the database from the stored triage, so that documents need not be loaded."""
    column: Column[Any] = triage_table.c.document
    # SQLite reads JSON from text directly, and would turn a cast value into a number.
    document: ColumnElement[Any] = (
        type_coerce(column, JSON) if connection.dialect.name == "sqlite" else cast(column, JSON)
    )
    return document["facets"][facet]["labels"]


def _by_a_person(annotator: str | None) -> list[ColumnElement[bool]]:
    """True of an opinion of a person, or of this person."""
    of = annotation_table.c
    by_name = [] if annotator is None else [of.annotator == annotator]
    return [of.origin == "human", of.settles.is_(null()), *by_name]


def _of(taxonomy: str, teams: Collection[str] | None) -> list[ColumnElement[bool]]:
    return [incident_table.c.taxonomy == taxonomy, *in_teams(teams)]
