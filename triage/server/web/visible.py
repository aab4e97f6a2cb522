"""Which incidents have a page for who asks: the shared history stands in lists and figures, and has none for a team."""

from __future__ import annotations

from collections.abc import Iterable

from triage.domain.principal import Principal
from triage.render.tables import Table
from triage.server.api.service import Service

LISTED = 100
"""So many incidents behind a figure are named on a page."""


async def visible(service: Service, who: Principal, incident_ids: Iterable[str]) -> frozenset[str]:
    """Those of the incidents that are there and may be seen."""
    teams = await service.store.incidents.find_teams(set(incident_ids))
    return frozenset(name for name, team in teams.items() if who.sees(team))


async def visible_behind(service: Service, who: Principal, tables: Iterable[Table]) -> frozenset[str]:
    """The same of the incidents that are named behind the rows of tables."""
    rows = (row for table in tables for row in table.rows)
    return await visible(service, who, (name for row in rows for name in row.incident_ids[:LISTED]))
