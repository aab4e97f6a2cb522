"""Review queues: incidents for people to look at, newest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, NamedTuple

from sqlalchemy import Column, ColumnElement, Select, exists, func, select

from triage.domain.annotation import Labels
from triage.store.database import Database, read_row
from triage.store.incidents import LIST_COLUMNS, IncidentQuery, Listed, conditions
from triage.store.reviews import label_columns, read_labels
from triage.store.tables import annotation_table, incident_table, triage_table

QueueName = Literal["new", "degraded", "untriaged", "triaged", "labelled", "all"]
"""`new`: triaged, not labelled by anyone. `degraded`: the latest triage is. `untriaged`: triage is pending or failed.
`labelled`: by a person."""


class Candidate(NamedTuple):
    """An incident in a queue and its latest triage; `triage_id` and `run_id` are None without one.

    `labels` has the facets that were asked for, an empty tuple where the triage abstained. `failure` and `retry_at`
    are those of an incident that failed.
    """

    seq: int
    incident: Listed
    failure: str | None
    retry_at: datetime | None
    triage_id: int | None
    is_degraded: bool
    labels: Labels
    run_id: str | None = None


class InUse(NamedTuple):
    """The services, severities and teams of the newest incidents, sorted."""

    services: list[str]
    severities: list[str]
    teams: list[str]


@dataclass
class ReviewQueues:
    """The review queues. Every query is bounded."""

    database: Database

    async def list(
        self,
        queue: QueueName,
        filters: IncidentQuery,
        *,
        before: int | None = None,
        limit: int,
        facets: Sequence[str] = (),
    ) -> Sequence[Candidate]:
        """The newest incidents of a queue, at most `limit`; with `before` those with a smaller `seq`."""
        latest = select(func.max(triage_table.c.id)).where(triage_table.c.incident_id == incident_table.c.id)
        newest = _queued(queue, filters, incident_table.c.seq, latest.scalar_subquery().label("triage_id"))
        newest = newest.order_by(incident_table.c.seq.desc()).limit(limit)
        if before is not None:
            newest = newest.where(incident_table.c.seq < before)
        chosen = newest.subquery()
        async with self.database.read() as connection:
            query: Select[Any] = (
                select(
                    *LIST_COLUMNS,
                    incident_table.c.failure,
                    incident_table.c.retry_at,
                    triage_table.c.id.label("triage_id"),
                    triage_table.c.run_id,
                    triage_table.c.degraded,
                    # Only the documents of the chosen incidents are read.
                    *label_columns(connection, facets),
                )
                .select_from(chosen)
                .join(incident_table, incident_table.c.seq == chosen.c.seq)
                .outerjoin(triage_table, triage_table.c.id == chosen.c.triage_id)
                .order_by(incident_table.c.seq.desc())
            )
            rows = (await connection.execute(query)).all()
        return [
            Candidate(
                row.seq,
                read_row(Listed, row),
                row.failure,
                row.retry_at,
                row.triage_id,
                bool(row.degraded),
                read_labels(row, facets),
                row.run_id,
            )
            for row in rows
        ]

    async def count(self, queue: QueueName, filters: IncidentQuery, limit: int) -> int:
        """How many incidents are in a queue, counted up to `limit`."""
        some = _queued(queue, filters, incident_table.c.seq).limit(limit).subquery()
        return int(await self.database.value(select(func.count()).select_from(some)))

    async def list_ids(self, queue: QueueName, filters: IncidentQuery) -> Sequence[str]:
        """The ids of all incidents of a queue, oldest first."""
        return await self.database.values(_queued(queue, filters, incident_table.c.id).order_by(incident_table.c.seq))

    async def list_filter_values(self, teams: Collection[str] | None, newest: int) -> InUse:
        """The values that the `newest` incidents posted for triage have."""
        of = incident_table.c
        query = _queued("all", IncidentQuery(teams=teams), of.service, of.severity, of.team)
        found = await self.database.rows(query.where(of.status != "imported").order_by(of.seq.desc()).limit(newest))
        services, severities, owners = ({row[n] for row in found if row[n]} for n in range(3))
        return InUse(sorted(services), sorted(severities), sorted(owners))


def _queued(queue: QueueName, filters: IncidentQuery, *columns: ColumnElement[Any] | Column[Any]) -> Select[Any]:
    status = incident_table.c.status
    by_person = exists().where(
        annotation_table.c.incident_id == incident_table.c.id, annotation_table.c.origin == "human"
    )
    found: dict[QueueName, list[ColumnElement[bool]]] = {
        "new": [status == "triaged", ~by_person],
        "degraded": [status == "triaged", *conditions(IncidentQuery(degraded=True))],
        "untriaged": [status.in_(("pending", "failed"))],
        "triaged": [status == "triaged"],
        "labelled": [by_person],
        "all": [],
    }
    return select(*columns).where(*found[queue], *conditions(filters))
