"""Who is to label what, and what was put before them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, Select, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from triage.domain.annotation import Assignment
from triage.store.tables import assignment_table, incident_table, serving_table

_COLUMNS = [assignment_table.c[name] for name in Assignment.model_fields]


class Assignments:
    """The assignments of all annotators, and a record of every incident's first serving to each of them."""

    def __init__(self, reading: AsyncEngine, writing: AsyncEngine) -> None:
        self._engine = reading
        self._writing = writing

    async def add(self, assignments: Sequence[Assignment]) -> None:
        """Keep assignments, all or none. One that is there already keeps its place and gains the new facets."""
        async with self._writing.begin() as connection:
            for assignment in assignments:
                this = (assignment_table.c.incident_id == assignment.incident_id) & (
                    assignment_table.c.annotator == assignment.annotator
                )
                known = (await connection.execute(select(assignment_table.c.facets).where(this))).scalar_one_or_none()
                if known is None:
                    await connection.execute(assignment_table.insert().values(**assignment.model_dump()))
                    continue
                facets = [*known, *(facet for facet in assignment.facets if facet not in known)]
                await connection.execute(assignment_table.update().where(this).values(facets=facets))

    async def all(self, annotator: str | None = None, teams: Collection[str] | None = None) -> list[Assignment]:
        """The assignments of everyone, or of one annotator, in the order in which they were made.

        With `teams` only those of incidents of these teams.
        """
        query = select(*_COLUMNS).order_by(assignment_table.c.seq)
        if annotator is not None:
            query = query.where(assignment_table.c.annotator == annotator)
        if teams is not None:
            query = query.where(assignment_table.c.incident_id.in_(_ids(teams)))
        async with self._engine.connect() as connection:
            return [_read(row) for row in await connection.execute(query)]

    async def annotators(self, teams: Collection[str] | None = None) -> list[str]:
        """Who has assignments, in the order of the alphabet; with `teams` of incidents of these teams."""
        query = select(assignment_table.c.annotator).distinct().order_by(assignment_table.c.annotator)
        if teams is not None:
            query = query.where(assignment_table.c.incident_id.in_(_ids(teams)))
        async with self._engine.connect() as connection:
            return list((await connection.execute(query)).scalars())

    async def serve(self, incident_id: str, annotator: str, *, showed_model: bool) -> None:
        """Keep that the annotator was shown the incident, and whether with the model's labels."""
        serving = {"incident_id": incident_id, "annotator": annotator, "showed_model": showed_model}
        known = select(serving_table.c.created_at).filter_by(**serving)
        try:
            async with self._writing.begin() as connection:
                if (await connection.execute(known)).first() is None:
                    await connection.execute(serving_table.insert().values(**serving, created_at=datetime.now(UTC)))
        except IntegrityError:
            # Another process kept the same serving in the same moment.
            return

    async def shown(self, annotator: str) -> set[str]:
        """The incidents that were put before the annotator with the model's labels."""
        query = select(serving_table.c.incident_id).filter_by(annotator=annotator, showed_model=True)
        async with self._engine.connect() as connection:
            return set((await connection.execute(query)).scalars())


async def saw_model(connection: AsyncConnection, incident_id: str, annotator: str) -> bool | None:
    """Whether the annotator was shown the model's labels of the incident; None if they were never shown it."""
    query = select(serving_table.c.showed_model).filter_by(incident_id=incident_id, annotator=annotator)
    shown = (await connection.execute(query)).scalars().all()
    return any(shown) if shown else None


def _ids(teams: Collection[str]) -> Select[Any]:
    return select(incident_table.c.id).where(incident_table.c.team.in_(teams))


def _read(row: Row[Any]) -> Assignment:
    values = {name: getattr(row, name) for name in Assignment.model_fields}
    return Assignment.model_construct(**(values | {"facets": tuple(row.facets)}))
