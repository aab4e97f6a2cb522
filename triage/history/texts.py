"""The redacted texts of the history. The index holds none: they are read from the store and cached here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Mapping
from typing import NamedTuple, Protocol

_CACHED_CHARACTERS = 32_000_000

Edition = tuple[str, str]
"""An incident's id, and a token that changes whenever its entry in the index is written."""


class IncidentText(NamedTuple):
    """The redacted text of an incident. `text` is title and write-up."""

    title: str
    text: str
    url: str = ""


class Source(Protocol):
    """Where the texts are stored, and what tells that another process changed the history."""

    async def texts(self, incident_ids: Collection[str]) -> Mapping[str, IncidentText]: ...

    async def change(self) -> Hashable:
        """A value that differs after each change of the history."""
        ...


class Texts:
    """Texts by edition: the last ones read from `source`, or all that were added if there is no source."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self._cached: OrderedDict[Edition, IncidentText] = OrderedDict()
        self._characters = 0

    def add(self, edition: Edition, text: IncidentText) -> None:
        """Cache a text. With a source the oldest ones are dropped beyond some 30 to 60 MB."""
        if edition in self._cached:
            return
        self._cached[edition] = text
        self._characters += len(text.text)
        while self.source is not None and self._characters > _CACHED_CHARACTERS and len(self._cached) > 1:
            self._characters -= len(self._cached.popitem(last=False)[1].text)

    def drop(self, incident_ids: Collection[str]) -> None:
        """Drop all editions of these incidents."""
        gone = set(incident_ids)
        for edition in [edition for edition in self._cached if edition[0] in gone]:
            self._characters -= len(self._cached.pop(edition).text)

    async def of(self, editions: Collection[Edition]) -> dict[str, IncidentText]:
        """Incident id -> text. A deleted incident has none, even if it is still in the index."""
        found, missing = dict[str, IncidentText](), list[Edition]()
        for edition in editions:
            if (text := self._cached.get(edition)) is None:
                missing.append(edition)
            else:
                self._cached.move_to_end(edition)
                found[edition[0]] = text
        if missing and self.source is not None:
            read = await self.source.texts([incident_id for incident_id, _ in missing])
            for edition in missing:
                if edition[0] in read:
                    found[edition[0]] = read[edition[0]]
                    self.add(edition, read[edition[0]])
        return found
