"""What lists of incidents show: headlines, and links to the incidents that the principal may see."""

from __future__ import annotations

from collections.abc import Iterable

from triage.domain.principal import Principal
from triage.render.tables import Table
from triage.server.api.service import Service
from triage.store import Listed, Store

LISTED = 100
"""The most incidents that a page lists behind a figure."""


async def visible_incidents(service: Service, principal: Principal, incident_ids: Iterable[str]) -> frozenset[str]:
    """The incidents that exist and that the principal may open.

    A principal limited to teams can't open the shared history, though lists and figures include it.
    """
    teams = await service.store.incidents.find_teams(set(incident_ids))
    return frozenset(incident_id for incident_id, team in teams.items() if principal.sees(team))


async def visible_in_tables(service: Service, principal: Principal, tables: Iterable[Table]) -> frozenset[str]:
    """The incidents listed behind the rows of tables that the principal may open."""
    rows = (row for table in tables for row in table.rows)
    return await visible_incidents(service, principal, (id_ for row in rows for id_ in row.incident_ids[:LISTED]))


async def headlines(store: Store, listed: Iterable[Listed]) -> dict[str, str]:
    """Incident id -> headline, for the incidents without a title."""
    untitled = await store.incidents.find_many([incident.id for incident in listed if not incident.title])
    return {incident_id: stored.incident.headline for incident_id, stored in untitled.items()}
