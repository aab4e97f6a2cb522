"""History: labelled incidents as a searchable memory. The port; `chroma.py` is the index behind it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from triage.domain.annotation import Labels
from triage.domain.errors import TriageError
from triage.domain.incident import Incident
from triage.domain.triage_result import Neighbour
from triage.models.embedding import Vectors

__all__ = ["MOST_EXAMPLES", "Example", "History", "IndexUnavailable"]

MOST_EXAMPLES = 5_000
"""Of a larger history the first ones are learned from and looked through by words."""


class IndexUnavailable(TriageError):
    """The index of the history can't be read or written just now."""

    status = 503
    title = "The history's index can't be reached"


class Example(NamedTuple):
    """A labelled incident of the history with all of its redacted text; `vector` has shape (dimension,)."""

    incident_id: str
    text: str
    vector: Vectors
    labels: Labels
    title: str = ""
    url: str = ""
    occurred_at: datetime | None = None
    ttm_minutes: float | None = None


class History(Protocol):
    """Labelled incidents that can be searched by meaning. Vectors come from one embedder, see `fingerprint`."""

    async def neighbours(
        self,
        text: str,
        vector: Vectors,
        k: int,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
        teams: Collection[str] | None = None,
    ) -> list[Neighbour]:
        """The `k` most similar incidents of these `teams` (None: of all), best first; without the ids in `exclude`.

        `text` and `vector` (shape (dimension,)) are of the redacted new incident. With `duplicates=False`
        near-duplicates of it are left out, else they are flagged. With `as_of` only incidents that began before that
        moment are there; those whose time isn't known are not.
        """
        ...

    async def examples(
        self,
        text: str,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
        teams: Collection[str] | None = None,
    ) -> Sequence[Example]:
        """Incidents to learn from, at most some thousands; those that `neighbours` leaves out are left out here too.

        The same object is given again as long as it is the same incidents.
        """
        ...

    async def remember(
        self, incidents: Sequence[tuple[Incident, Labels]], vectors: Vectors, teams: Sequence[str] | None = None
    ) -> None:
        """Add or replace incidents with their gold labels; `vectors` and `teams` have one row for each.

        Without `teams` they are of no team in particular, which only a search in all teams finds.
        """
        ...

    async def forget(self, incident_ids: Collection[str]) -> None: ...

    async def size(self) -> int: ...
