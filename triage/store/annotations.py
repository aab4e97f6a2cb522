"""Stored annotations. They are only added: an annotator's latest one for a facet counts, and their latest
adjudication of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Row, Select, Text, case, cast, func, null, select
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Annotation
from triage.domain.errors import Outdated
from triage.domain.principal import DEFAULT_TEAM, actor
from triage.domain.triage_result import Triage
from triage.store.assignments import read_saw_model
from triage.store.audit import audit_entry, write_audit
from triage.store.database import Database, chunks, read_row
from triage.store.incidents import read_teams
from triage.store.tables import annotation_table, audit_table, in_teams, incident_table, triage_table


class Labelled(NamedTuple):
    """The state of an incident's annotations: how many there are, and the id of the last one."""

    number: int
    last: int


@dataclass
class Annotations:
    """The annotations of all incidents. `Store.record` adds them."""

    database: Database

    async def find(self, annotation_id: int) -> Annotation | None:
        """The annotation with this id, or None."""
        row = await self.database.row(select(annotation_table).where(annotation_table.c.id == annotation_id))
        return None if row is None else _read(row)

    async def list(self, incident_id: str) -> Sequence[Annotation]:
        """All annotations of an incident, oldest first."""
        return (await self.list_many([incident_id]))[incident_id]

    async def list_many(
        self, incident_ids: Collection[str], annotator: str | None = None
    ) -> dict[str, Sequence[Annotation]]:
        """Incident id -> all its annotations, or those of one annotator, oldest first, for each of `incident_ids`."""
        found: dict[str, Any] = {incident_id: [] for incident_id in incident_ids}
        query = select(annotation_table).order_by(annotation_table.c.id)
        if annotator is not None:
            query = query.where(annotation_table.c.annotator == annotator)
        of = annotation_table.c.incident_id
        for row in await self.database.rows_of(incident_ids, lambda chunk: query.where(of.in_(chunk))):
            found[row.incident_id].append(_read(row))
        return found

    async def list_all(self, taxonomy: str) -> Sequence[Annotation]:
        """All annotations of incidents labelled with this taxonomy, oldest first.

        They are followed by the labels of each incident's latest triage, with origin `model`.
        """
        of = triage_table.c
        latest = select(func.max(of.id)).group_by(of.incident_id)
        mine = select(incident_table.c.id).where(incident_table.c.taxonomy == taxonomy)
        annotated = select(annotation_table).where(annotation_table.c.incident_id.in_(mine))
        documents = select(of.document).where(of.incident_id.in_(mine), of.id.in_(latest)).order_by(of.id)
        async with self.database.read() as connection:
            people = [_read(row) for row in await connection.execute(annotated.order_by(annotation_table.c.id))]
            triages = (await connection.execute(documents)).scalars().all()
        return [*people, *(annotation for document in triages for annotation in _of_model(document))]

    async def list_labelled(
        self,
        annotators: int = 1,
        *,
        before: int | None = None,
        limit: int | None = None,
        teams: Collection[str] | None = None,
        differing: bool = False,
    ) -> Sequence[tuple[int, str]]:
        """`seq` and id of incidents where at least so many people labelled the same facet, newest first.

        With `before` only those with a smaller `seq`, with `teams` only those of these teams, and with `differing`
        only those where people ever gave different labels to that facet.
        """
        of = annotation_table.c
        # An adjudication is no opinion of its own, but someone may have contradicted it since.
        by_people = func.count(case((of.settles.is_(null()), of.annotator)).distinct())
        conditions = [by_people >= annotators]
        if differing:
            # PostgreSQL can't compare JSON; both databases store it as the text that was written.
            conditions.append(func.count(cast(of.labels, Text).distinct()) > 1)
        # A subquery for each incident, so that a page can be read without scanning everything.
        is_labelled = (
            select(of.facet)
            .where(of.incident_id == incident_table.c.id, of.origin == "human")
            .group_by(of.facet)
            .having(*conditions)
            .exists()
        )
        query = select(incident_table.c.seq, incident_table.c.id).where(is_labelled, *in_teams(teams))
        if before is not None:
            query = query.where(incident_table.c.seq < before)
        query = query.order_by(incident_table.c.seq.desc()).limit(limit)
        return [(row.seq, row.id) for row in await self.database.rows(query)]


class LabelChanges:
    """Collects stored labels with the labels before them, and writes them to the audit log.

    Labels that people give in the service get an entry each. An import gets one entry as a whole, and one for each
    label or gold label that it changes.
    """

    def __init__(self, current: Iterable[Annotation], imported: Collection[str], *, is_interactive: bool) -> None:
        self._gold: dict[tuple[str, str], tuple[str, ...]] = {}
        # The same order as in `Gold`: a person's before any other, then the newest.
        for annotation in sorted(current, key=lambda a: (a.origin == "human", a.id or 0)):
            if annotation.is_gold:
                self._gold[of_facet(annotation)] = annotation.labels
        self._imported = len(imported)
        self._is_interactive = is_interactive
        self._changes: list[tuple[Annotation, dict[str, Any]]] = []

    def add(self, before: Annotation | None, after: Annotation) -> None:
        """An annotation is stored; `before` is its annotator's previous one."""
        gold = self._gold.get(of_facet(after))
        details: dict[str, Any] = {
            "facet": after.facet,
            "annotator": after.annotator,
            "before": None if before is None else list(before.labels),
            "after": list(after.labels),
        }
        if after.is_gold or (before is not None and before.is_gold):
            details |= {"gold_before": None if gold is None else list(gold), "is_gold": after.is_gold}
        if after.is_gold:
            self._gold[of_facet(after)] = after.labels
        self._changes.append((after, details))

    async def write(self, connection: AsyncConnection) -> None:
        """Write the entries, in the transaction that stores the labels."""
        if not self._is_interactive and (self._changes or self._imported):
            details = {
                "incidents": self._imported,
                "labels": len(self._changes),
                "annotators": sorted({annotation.annotator for annotation, _ in self._changes})[:20],
            }
            await write_audit(connection, actor(), "labels.imported", "", None, details)
        listed = [
            (annotation, details)
            for annotation, details in self._changes
            if self._is_interactive or details["before"] is not None or details.get("gold_before") is not None
        ]
        teams = await read_teams(connection, {annotation.incident_id for annotation, _ in listed})
        entries = []
        for annotation, details in listed:
            action = "label.adjudicated" if annotation.is_adjudication else "label.given"
            team = teams.get(annotation.incident_id, DEFAULT_TEAM)
            entries.append(audit_entry(actor(), action, team, annotation.incident_id, details))
        if entries:
            await connection.execute(audit_table.insert(), entries)


async def read_current(
    connection: AsyncConnection, incident_ids: Collection[str]
) -> dict[tuple[str, str, str, bool], Annotation]:
    """(incident, facet, annotator, whether an adjudication) -> the current annotation."""
    current: dict[tuple[str, str, str, bool], Annotation] = {}
    for chunk in chunks(incident_ids):
        is_current = annotation_table.c.id.in_(current_ids(chunk))
        query = select(annotation_table).where(is_current).order_by(annotation_table.c.id)
        for annotation in map(_read, await connection.execute(query)):
            current[*of_facet(annotation), *author(annotation)] = annotation
    return current


async def with_saw_model(connection: AsyncConnection, annotation: Annotation) -> Annotation:
    """A person's annotation with `saw_model` set from what they were shown."""
    if annotation.origin != "human" or annotation.is_adjudication:
        return annotation
    seen = await read_saw_model(connection, annotation.incident_id, annotation.annotator)
    return annotation.model_copy(update={"saw_model": seen})


async def save_annotation(connection: AsyncConnection, annotation: Annotation) -> Annotation:
    """Store an annotation; returns it with its id."""
    values = annotation.model_dump(exclude={"id"}) | {"settles": [*annotation.settles] or None}
    insert = annotation_table.insert().returning(annotation_table.c.id)
    return annotation.model_copy(update={"id": (await connection.execute(insert, values)).scalar_one()})


async def check_unchanged(connection: AsyncConnection, incident_id: str, expected: Labelled) -> None:
    """Raise `Outdated` if the incident's annotations changed since `expected`, and lock them until the transaction
    ends."""
    # SQLite has one writer anyway; on PostgreSQL the lock keeps other writers out.
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


def current_ids(incident_ids: Collection[str] | None) -> Select[Any]:
    """The ids of each annotator's latest annotation, and latest adjudication, of each facet."""
    query = select(func.max(annotation_table.c.id)).group_by(
        annotation_table.c.incident_id,
        annotation_table.c.facet,
        annotation_table.c.annotator,
        annotation_table.c.settles.is_(null()),
    )
    return query if incident_ids is None else query.where(annotation_table.c.incident_id.in_(incident_ids))


def of_facet(annotation: Annotation) -> tuple[str, str]:
    """What it labels: incident and facet."""
    return annotation.incident_id, annotation.facet


def author(annotation: Annotation) -> tuple[str, bool]:
    """Who made it, and whether as an adjudicator: an annotator may hold both roles for one facet."""
    return annotation.annotator, annotation.is_adjudication


def is_repeat(earlier: Annotation, later: Annotation) -> bool:
    """True if `later` adds nothing to `earlier`."""
    # A label that is given again blind is stronger evidence than one whose `saw_model` is unknown.
    if earlier.saw_model is None and later.saw_model is not None:
        return False
    ignored = {"created_at", "id", "saw_model"}
    return earlier.model_dump(exclude=ignored) == later.model_dump(exclude=ignored)


def _read(row: Row[Any]) -> Annotation:
    return read_row(Annotation, row, labels=tuple(row.labels), settles=tuple(row.settles or ()))


def _of_model(document: str) -> Sequence[Annotation]:
    """The labels of a stored triage as annotations of `model:<name>`, or `model:none` without a model.

    Facets where it abstained are left out, and so is a degraded triage: its labels are not those of its model.
    """
    triage = Triage.model_validate_json(document)
    if triage.degraded:
        return []
    return [
        Annotation(
            incident_id=triage.incident_id,
            facet=facet,
            labels=result.labels,
            annotator=f"model:{triage.provenance.model or 'none'}",
            origin="model",
            created_at=triage.created_at,
        )
        for facet, result in triage.facets.items()
        if result.labels
    ]
