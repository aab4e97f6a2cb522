"""Piles of incidents that people are to look at, newest first: new ones, degraded ones, those without a triage."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Column, ColumnElement, Row, ScalarSelect, Select, exists, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from triage.domain.annotation import Labels
from triage.store import rows
from triage.store.incidents import conditions
from triage.store.judgements import labels_in
from triage.store.records import Listed, Wanted
from triage.store.statements import chunks
from triage.store.tables import annotation_table, incident_table, triage_table

Pile = Literal["new", "degraded", "untriaged", "triaged", "labelled", "all"]
"""`new`: triaged, and labelled by nobody. `degraded`: the latest triage is. `untriaged`: waits for its triage, or it
failed. `labelled`: by a person."""


class Candidate(NamedTuple):
    """An incident of a pile with what its latest triage says; `triage_id` is None where there is none.

    `labels` are of the facets that were asked for, an empty tuple where the triage abstained. `failure` and `retry_at`
    are those of an incident that failed.
    """

    seq: int
    incident: Listed
    failure: str | None
    retry_at: datetime | None
    triage_id: int | None
    is_degraded: bool
    labels: Labels


class InUse(NamedTuple):
    """The services, severities and teams of the newest incidents, in the order of the alphabet."""

    services: list[str]
    severities: list[str]
    teams: list[str]


class Piles:
    """What can be read of piles. Every query is bounded."""

    def __init__(self, reading: AsyncEngine) -> None:
        self._engine = reading

    async def portion(
        self,
        pile: Pile,
        wanted: Wanted,
        *,
        before: int | None = None,
        limit: int,
        facets: Sequence[str] = (),
    ) -> list[Candidate]:
        """The newest incidents of a pile, at most `limit`; with `before` those behind that place."""
        newest = _of_pile(pile, wanted, incident_table.c.seq, _latest().label("triage_id"))
        newest = newest.order_by(incident_table.c.seq.desc()).limit(limit)
        if before is not None:
            newest = newest.where(incident_table.c.seq < before)
        chosen = newest.subquery()
        async with self._engine.connect() as connection:
            # Labels are read out of the documents of these alone.
            said = [labels_in(connection, facet).label(f"said_{n}") for n, facet in enumerate(facets)]
            query: Select[Any] = (
                select(
                    *rows.LIST_COLUMNS,
                    incident_table.c.failure,
                    incident_table.c.retry_at,
                    triage_table.c.id.label("triage_id"),
                    triage_table.c.degraded,
                    *said,
                )
                .select_from(chosen)
                .join(incident_table, incident_table.c.seq == chosen.c.seq)
                .outerjoin(triage_table, triage_table.c.id == chosen.c.triage_id)
                .order_by(incident_table.c.seq.desc())
            )
            return [_candidate(row, facets) for row in await connection.execute(query)]

    async def count(self, pile: Pile, wanted: Wanted, most: int) -> int:
        """How many incidents are in a pile, counted up to `most`."""
        some = _of_pile(pile, wanted, incident_table.c.seq).limit(most).subquery()
        async with self._engine.connect() as connection:
            return int((await connection.execute(select(func.count()).select_from(some))).scalar_one())

    async def ids(self, pile: Pile, wanted: Wanted) -> list[str]:
        """The ids of all incidents of a pile, oldest first."""
        query = _of_pile(pile, wanted, incident_table.c.id).order_by(incident_table.c.seq)
        async with self._engine.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def documents(self, triage_ids: Collection[int]) -> dict[int, str]:
        """Triage id -> the triage as JSON, for those that are there."""
        found: dict[int, str] = {}
        async with self._engine.connect() as connection:
            for chunk in chunks(triage_ids):
                query = select(triage_table.c.id, triage_table.c.document).where(triage_table.c.id.in_(chunk))
                found |= {row.id: row.document for row in await connection.execute(query)}
        return found

    async def in_use(self, teams: Collection[str] | None, newest: int) -> InUse:
        """What the newest incidents that were to be triaged have, looking at so many."""
        of = incident_table.c
        query = _of_pile("all", Wanted(teams=teams), of.service, of.severity, of.team)
        query = query.where(of.status != "imported").order_by(of.seq.desc()).limit(newest)
        async with self._engine.connect() as connection:
            found = (await connection.execute(query)).all()
        services, severities, owners = ({row[n] for row in found if row[n]} for n in range(3))
        return InUse(sorted(services), sorted(severities), sorted(owners))


def _of_pile(pile: Pile, wanted: Wanted, *columns: ColumnElement[Any] | Column[Any]) -> Select[Any]:
    status = incident_table.c.status
    by_person = exists().where(
        annotation_table.c.incident_id == incident_table.c.id, annotation_table.c.origin == "human"
    )
    held: dict[Pile, list[ColumnElement[bool]]] = {
        "new": [status == "triaged", ~by_person],
        "degraded": [status == "triaged", *conditions(Wanted(degraded=True))],
        "untriaged": [status.in_(("pending", "failed"))],
        "triaged": [status == "triaged"],
        "labelled": [by_person],
        "all": [],
    }
    return select(*columns).where(*held[pile], *conditions(wanted))


def _latest() -> ScalarSelect[Any]:
    return (
        select(func.max(triage_table.c.id)).where(triage_table.c.incident_id == incident_table.c.id).scalar_subquery()
    )


def _candidate(row: Row[Any], facets: Sequence[str]) -> Candidate:
    said = {facet: getattr(row, f"said_{n}") for n, facet in enumerate(facets)}
    return Candidate(
        row.seq,
        rows.read_listed(row),
        row.failure,
        row.retry_at,
        row.triage_id,
        bool(row.degraded),
        {facet: tuple(labels) for facet, labels in said.items() if labels is not None},
    )
