"""The history as plain records: incidents with their gold labels, of the teams that may be seen."""

from __future__ import annotations

from collections.abc import Callable, Collection

from triage.access import SHARED_TEAM
from triage.annotation import Labels
from triage.incident import Incident
from triage.store.store import Store


async def past_incidents(
    store: Store,
    teams: Collection[str] | None = None,
    wanted: Callable[[Labels], bool] = lambda _: True,
) -> list[tuple[Incident, Labels]]:
    """The history of these teams and the shared one (None: of all teams), as far as its labels are `wanted`.

    Only incidents whose labels are wanted are read. All of them are held in memory.
    """
    seen = None if teams is None else {*teams, SHARED_TEAM}
    found: list[tuple[Incident, Labels]] = []
    async for gold in store.gold_pages():
        labelled = {incident_id: labels for incident_id, labels in gold.items() if wanted(labels)}
        stored = await store.incidents(labelled)
        found += [
            (stored[incident_id].incident, labels)
            for incident_id, labels in labelled.items()
            if incident_id in stored and (seen is None or stored[incident_id].team in seen)
        ]
    return found
