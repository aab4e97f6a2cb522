"""Gold labels; the incidents that have some are the history."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, Text, cast, distinct, exists, func, select

from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.principal import seen_teams
from triage.store.annotations import current_ids
from triage.store.database import CHUNK, Database
from triage.store.incidents import Incidents
from triage.store.tables import annotation_table, in_teams, incident_table


@dataclass
class Gold:
    """The gold labels of all incidents.

    Of each facet the latest gold annotation and the latest gold adjudication of each annotator are candidates; among
    them a person's counts before any other, then the newest. A facet whose gold annotation says that the write-up
    doesn't tell has no gold labels.
    """

    database: Database
    incidents: Incidents

    async def find_many(self, incident_ids: Collection[str]) -> dict[str, Labels]:
        """Incident id -> gold labels; incidents without any are left out."""
        found: dict[str, Labels] = {}
        for row in await self.database.rows_of(incident_ids, _gold):
            found.setdefault(row.incident_id, {})[row.facet] = tuple(row.labels)
        return found

    async def exists(self) -> bool:
        """True if any incident has a gold label."""
        return bool(await self.database.value(select(exists().where(annotation_table.c.is_gold))))

    async def count(self) -> int:
        """How many incidents have gold labels."""
        gold = _gold(None).subquery()
        return int(await self.database.value(select(func.count(distinct(gold.c.incident_id)))))

    async def list_ids(self) -> set[str]:
        """The ids of all incidents with gold labels."""
        return {row.incident_id for row in await self.database.rows(_gold(None))}

    async def list_newest(self, taxonomy: str, limit: int, teams: Collection[str] | None = None) -> dict[str, Labels]:
        """Incident id -> gold labels, of the `limit` newest incidents of a taxonomy that have any, newest first.

        With `teams` only incidents of these teams.
        """
        is_gold = annotation_table.c.is_gold & (annotation_table.c.incident_id == incident_table.c.id)
        query = (
            select(incident_table.c.id)
            .where(incident_table.c.taxonomy == taxonomy, exists().where(is_gold).correlate(incident_table))
            .where(*in_teams(teams))
            .order_by(incident_table.c.seq.desc())
            .limit(limit)
        )
        ids = await self.database.values(query)
        gold = await self.find_many(ids)
        return {incident_id: gold[incident_id] for incident_id in ids if incident_id in gold}

    async def pages(self, size: int = CHUNK) -> AsyncIterator[dict[str, Labels]]:
        """Incident id -> gold labels, of all incidents that have any, in pages by id. Memory is bounded."""
        of = annotation_table.c
        query = select(of.incident_id).where(of.is_gold).distinct().order_by(of.incident_id).limit(size)
        after = ""
        while ids := await self.database.values(query.where(of.incident_id > after)):
            yield await self.find_many(ids)
            after = ids[-1]

    async def incident_pages(
        self, teams: Collection[str] | None = None, accepts: Callable[[Labels], bool] = lambda _: True
    ) -> AsyncIterator[list[tuple[Incident, Labels]]]:
        """Incidents with their gold labels, in pages by id. Memory is bounded.

        Only incidents whose labels are accepted, of these teams and the shared one (None: of all teams).
        """
        seen = seen_teams(teams)
        async for gold in self.pages():
            accepted = {incident_id: labels for incident_id, labels in gold.items() if accepts(labels)}
            stored = await self.incidents.find_many(accepted)
            yield [
                (stored[incident_id].incident, labels)
                for incident_id, labels in accepted.items()
                if incident_id in stored and (seen is None or stored[incident_id].team in seen)
            ]

    async def list_incidents(
        self, teams: Collection[str] | None = None, accepts: Callable[[Labels], bool] = lambda _: True
    ) -> list[tuple[Incident, Labels]]:
        """All of `incident_pages` in memory."""
        return [pair async for page in self.incident_pages(teams, accepts) for pair in page]


def _gold(incident_ids: Collection[str] | None) -> Select[Any]:
    """The gold labels of these incidents, or of all; facets whose gold annotation has no labels are left out."""
    of = annotation_table.c
    best_first = ((of.origin == "human").desc(), of.id.desc())
    place = func.row_number().over(partition_by=(of.incident_id, of.facet), order_by=best_first).label("place")
    current = of.is_gold, of.id.in_(current_ids(incident_ids))
    ranked = select(of.incident_id, of.facet, of.labels, place).where(*current).subquery()
    # PostgreSQL can't compare JSON; both databases store it as the text that was written.
    is_told = cast(ranked.c.labels, Text) != "[]"
    return select(ranked.c.incident_id, ranked.c.facet, ranked.c.labels).where(ranked.c.place == 1, is_told)
