"""The history as plain records: incidents with their gold labels, of the teams that may be seen."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection

from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.principal import seen_teams
from triage.store.store import Store


async def past_incidents(
    store: Store,
    teams: Collection[str] | None = None,
    wanted: Callable[[Labels], bool] = lambda _: True,
) -> list[tuple[Incident, Labels]]:
    """The history of these teams and the shared one (None: of all teams), as far as its labels are `wanted`.

    Only incidents whose labels are wanted are read. All of them are held in memory.
    """
    return [record async for portion in past_portions(store, teams, wanted) for record in portion]


async def past_portions(
    store: Store,
    teams: Collection[str] | None = None,
    wanted: Callable[[Labels], bool] = lambda _: True,
) -> AsyncIterator[list[tuple[Incident, Labels]]]:
    """The same in portions by id. Bounded in memory."""
    seen = seen_teams(teams)
    async for gold in store.gold_pages():
        labelled = {incident_id: labels for incident_id, labels in gold.items() if wanted(labels)}
        stored = await store.incidents(labelled)
        yield [
            (stored[incident_id].incident, labels)
            for incident_id, labels in labelled.items()
            if incident_id in stored and (seen is None or stored[incident_id].team in seen)
        ]
