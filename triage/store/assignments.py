"""Assignments: who labels which incidents, and what each annotator was shown."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from triage.domain.annotation import Assignment
from triage.store.database import Database, read_row
from triage.store.tables import assignment_table, in_teams, incident_table, serving_table


@dataclass
class Assignments:
    """The assignments of all annotators, and when each annotator was first shown an incident."""

    database: Database

    async def add(self, assignments: Sequence[Assignment]) -> None:
        """Store assignments, all or none. An existing one keeps its place and gains the new facets."""
        table = assignment_table
        async with self.database.write() as connection:
            for assignment in assignments:
                this = (table.c.incident_id == assignment.incident_id) & (table.c.annotator == assignment.annotator)
                known = (await connection.execute(select(table.c.facets).where(this))).scalar_one_or_none()
                if known is None:
                    await connection.execute(table.insert().values(**assignment.model_dump()))
                    continue
                facets = [*known, *(facet for facet in assignment.facets if facet not in known)]
                await connection.execute(table.update().where(this).values(facets=facets))

    async def list(self, annotator: str | None = None, teams: Collection[str] | None = None) -> Sequence[Assignment]:
        """The assignments of everyone or of one annotator, oldest first; with `teams` only those of their incidents."""
        query = select(assignment_table).where(*_within(teams)).order_by(assignment_table.c.seq)
        if annotator is not None:
            query = query.where(assignment_table.c.annotator == annotator)
        rows = await self.database.rows(query)
        return [read_row(Assignment, row, facets=tuple(row.facets)) for row in rows]

    async def list_annotators(self, teams: Collection[str] | None = None) -> Sequence[str]:
        """Everyone with assignments, by name; with `teams` only those with incidents of these teams."""
        annotator = assignment_table.c.annotator
        return await self.database.values(select(annotator).where(*_within(teams)).distinct().order_by(annotator))

    async def record_serving(self, incident_id: str, annotator: str, *, showed_model: bool) -> None:
        """Store that the annotator was shown the incident, and whether with the model's labels."""
        serving = {"incident_id": incident_id, "annotator": annotator, "showed_model": showed_model}
        known = select(serving_table.c.created_at).filter_by(**serving)
        try:
            async with self.database.write() as connection:
                if (await connection.execute(known)).first() is None:
                    await connection.execute(serving_table.insert().values(**serving, created_at=datetime.now(UTC)))
        except IntegrityError:
            # Another process stored the same serving at the same moment.
            return

    async def list_shown(self, annotator: str) -> set[str]:
        """The ids of the incidents that the annotator was shown with the model's labels."""
        query = select(serving_table.c.incident_id).filter_by(annotator=annotator, showed_model=True)
        return set(await self.database.values(query))


async def read_saw_model(connection: AsyncConnection, incident_id: str, annotator: str) -> bool | None:
    """Whether the annotator was shown the model's labels of the incident; None if they were never shown it."""
    query = select(serving_table.c.showed_model).filter_by(incident_id=incident_id, annotator=annotator)
    shown = (await connection.execute(query)).scalars().all()
    return any(shown) if shown else None


def _within(teams: Collection[str] | None) -> list[ColumnElement[bool]]:
    ids = select(incident_table.c.id).where(*in_teams(teams))
    return [] if teams is None else [assignment_table.c.incident_id.in_(ids)]
