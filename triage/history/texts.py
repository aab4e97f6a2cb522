"""The redacted texts of the history. The index holds none: they are read where they are kept, and remembered here."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Hashable, Mapping
from typing import NamedTuple, Protocol

_REMEMBERED_CHARACTERS = 32_000_000

Edition = tuple[str, str]
"""An incident's id, and a word that changes whenever its entry in the index is written."""


class Told(NamedTuple):
    """What an incident says, redacted. `text` is title and write-up."""

    title: str
    text: str
    url: str = ""


class Source(Protocol):
    """Where the texts are kept, and how one learns that the history was changed by another process."""

    async def texts(self, incident_ids: Collection[str]) -> Mapping[str, Told]: ...

    async def change(self) -> Hashable:
        """A sign that is another one after each change of the history."""
        ...


class Texts:
    """Texts by edition: the last ones of a `source`, or without a source all that were given."""

    def __init__(self) -> None:
        self.source: Source | None = None
        self._told: OrderedDict[Edition, Told] = OrderedDict()
        self._characters = 0

    def keep(self, edition: Edition, told: Told) -> None:
        """Remember a text. With a source the oldest ones are let go for it, some 30 to 60 MB being kept."""
        if edition in self._told:
            return
        self._told[edition] = told
        self._characters += len(told.text)
        while self.source is not None and self._characters > _REMEMBERED_CHARACTERS and len(self._told) > 1:
            self._characters -= len(self._told.popitem(last=False)[1].text)

    def drop(self, incident_ids: Collection[str]) -> None:
        """Forget all editions of these incidents."""
        gone = set(incident_ids)
        for edition in [edition for edition in self._told if edition[0] in gone]:
            self._characters -= len(self._told.pop(edition).text)

    async def of(self, editions: Collection[Edition]) -> dict[str, Told]:
        """Incident id -> text, for those that are there: a deleted incident has none, whatever the index says."""
        found, missing = dict[str, Told](), list[Edition]()
        for edition in editions:
            if (told := self._told.get(edition)) is None:
                missing.append(edition)
            else:
                self._told.move_to_end(edition)
                found[edition[0]] = told
        if missing and self.source is not None:
            read = await self.source.texts([incident_id for incident_id, _ in missing])
            for edition in missing:
                if edition[0] in read:
                    found[edition[0]] = read[edition[0]]
                    self.keep(edition, read[edition[0]])
        return found
