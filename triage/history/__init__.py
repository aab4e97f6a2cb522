"""History: labelled incidents as a searchable memory. The port; `chroma.py` is the index behind it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from triage.annotation import Labels
from triage.embedding import Vectors
from triage.incident import Incident
from triage.triage_result import Neighbour

__all__ = ["Example", "History"]


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
    ) -> list[Neighbour]:
        """The `k` most similar incidents, best first; without the ids in `exclude`.

        `text` and `vector` (shape (dimension,)) are of the redacted new incident. With `duplicates=False`
        near-duplicates of it are left out, else they are flagged. With `as_of` only incidents that began before that
        moment are there; those whose time isn't known are not.
        """
        ...

    async def examples(
        self, text: str, *, exclude: Collection[str] = (), duplicates: bool = True, as_of: datetime | None = None
    ) -> list[Example]:
        """Incidents to learn from, at most some thousands; those that `neighbours` leaves out are left out here too."""
        ...

    async def remember(self, incidents: Sequence[tuple[Incident, Labels]], vectors: Vectors) -> None:
        """Add or replace incidents with their gold labels; `vectors` has one row for each."""
        ...

    async def forget(self, incident_ids: Collection[str]) -> None: ...

    async def size(self) -> int: ...
