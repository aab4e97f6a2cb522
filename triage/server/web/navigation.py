"""Where the pages are, in the order in which they are told, with the key that leads there after `g`."""

from __future__ import annotations

from typing import NamedTuple

from triage.domain.principal import Scope


class Place(NamedTuple):
    """A page in the navigation. `needs` is the scope without which it is not shown."""

    name: str
    path: str
    key: str
    needs: Scope = "read"


PLACES = (
    Place("Triage", "/", "t"),
    Place("Queue", "/queue", "q"),
    Place("Label", "/label", "l", needs="annotate"),
    Place("History", "/history", "h"),
    Place("Agreement", "/agreement", "a"),
    Place("Evals", "/evals", "e"),
    Place("Study", "/study", "s"),
    Place("Settings", "/settings", ","),
)
"""The pages themselves."""


def is_current(place: Place, path: str) -> bool:
    """True if `path` is that page, or below it."""
    return path == place.path or (place.path != "/" and path.startswith(f"{place.path}/"))
