"""The history: labelled incidents that can be searched by meaning. `chroma.py` implements the port."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from triage.domain.annotation import Labels
from triage.domain.errors import TriageError
from triage.domain.incident import Incident, TtmUntil
from triage.domain.triage_result import Neighbour
from triage.models.embedding import Vectors

__all__ = ["MOST_EXAMPLES", "Example", "History", "IndexUnavailable"]

MOST_EXAMPLES = 5_000
"""The first incidents of a larger history are learned from and browsed."""


class IndexUnavailable(TriageError):
    """The index of the history can't be read or written at present."""

    status = 503
    title = "The history's index can't be reached"


class Example(NamedTuple):
    """A labelled incident of the history with its whole redacted text; `vector` has shape (dimension,)."""

    incident_id: str
    text: str
    vector: Vectors
    labels: Labels
    title: str = ""
    url: str = ""
    occurred_at: datetime | None = None
    ttm_minutes: float | None = None
    ttm_until: TtmUntil | None = None


class History(Protocol):
    """Labelled incidents that can be searched by meaning. All vectors come from one embedder."""

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
        """The `k` most similar incidents of these `teams` (None: all), best first, without the ids in `exclude`.

        `text` and `vector` (shape (dimension,)) are of the redacted new incident. Its near-duplicates are flagged, or
        left out with `duplicates=False`. With `as_of` only incidents that are known to have begun earlier are found.
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
        """Incidents to learn from, at most 5,000, with the same filters as `neighbours`.

        Returns the same object as long as the incidents stay the same.
        """
        ...

    async def remember(
        self, incidents: Sequence[tuple[Incident, Labels]], vectors: Vectors, teams: Sequence[str] | None = None
    ) -> None:
        """Add or replace incidents with their gold labels; `vectors` and `teams` have one row for each.

        Without `teams`, only a search in all teams finds them.
        """
        ...

    async def forget(self, incident_ids: Collection[str]) -> None: ...

    async def size(self) -> int: ...
