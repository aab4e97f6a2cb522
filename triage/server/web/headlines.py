"""What stands for the titles of incidents that have none."""

from __future__ import annotations

from collections.abc import Iterable

from triage.store import Listed, Store


async def headlines(store: Store, listed: Iterable[Listed]) -> dict[str, str]:
    """Incident id -> its headline, for those without a title."""
    untitled = await store.incidents.find_many([one.id for one in listed if not one.title])
    return {name: stored.incident.headline for name, stored in untitled.items()}
