"""Keeps the index consistent with the store, even if processes write at once or die in between.

Every change of gold labels leaves a mark in the same transaction. The process that then writes the index removes the
mark. `Indexer.repair` handles marks that are left over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Hashable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, Protocol

import numpy as np

from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.lines import clean_text
from triage.domain.triage_result import Neighbour
from triage.history import Example, History, IndexUnavailable
from triage.history.entries import Entry
from triage.history.texts import IncidentText, Source
from triage.models.embedding import Embedder, Vectors
from triage.observability.progress import Progress, silent
from triage.redaction import Redactor
from triage.store import Store

SETTLED_S = 5.0
"""An older mark was left by a process that died or could not reach the index."""

_TURN = "index"
"""The lock that lets one process at a time build the index; see `Store.lock`."""

_PAGE = 500
_MOST_TRIES = 20
_SHOWN = 20
_SAMPLE_EVERY = 50
_ALIKE = 1e-3
_BUILDING = "Building the index"


class Index(History, Protocol):
    """A history that can be compared with the store and rebuilt."""

    @property
    def is_durable(self) -> bool: ...

    def read_from(self, source: Source) -> None: ...

    def ids(self) -> AsyncIterator[list[str]]: ...

    async def entries(self, incident_ids: Collection[str], *, vectors: bool = False) -> dict[str, list[Entry]]: ...

    async def clear(self) -> None: ...


class NoIndex:
    """An index that stores and finds nothing, for bulk imports beside a service.

    The store marks what was imported, and the service updates its index by the marks.
    """

    is_durable = False

    def read_from(self, source: object) -> None: ...

    async def neighbours(self, *_args: Any, **_options: Any) -> list[Neighbour]:
        return []

    async def examples(self, *_args: Any, **_options: Any) -> Sequence[Example]:
        return ()

    async def remember(self, *_args: Any, **_options: Any) -> None: ...

    async def forget(self, incident_ids: Collection[str]) -> None: ...

    async def size(self) -> int:
        return 0

    async def ids(self) -> AsyncIterator[list[str]]:
        for portion in list[list[str]]():
            yield portion

    async def entries(self, *_args: Any, **_options: Any) -> dict[str, Any]:
        return {}

    async def clear(self) -> None: ...

    def close(self) -> None: ...


class IndexReport(NamedTuple):
    """The counts of a comparison: how many incidents, vectors and marks were examined, and how many differ.

    `missing` are not in the index, `surplus` not in the history. `differing` have other labels, another team or two
    entries. `other_vectors` have another vector. `examples` names some of them.
    """

    incidents: int
    vectors: int
    marks: int
    missing: int = 0
    surplus: int = 0
    differing: int = 0
    other_vectors: int = 0
    examples: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """True if nothing differs. Marks don't count: they are pending work."""
        return not (self.missing or self.surplus or self.differing or self.other_vectors)


class _Expected(NamedTuple):
    incident: Incident
    labels: Labels
    team: str
    vector: bytes


class StoredTexts:
    """The redacted texts of the history, read from the store. The index caches them."""

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self._store = store
        self._redactor = redactor

    async def texts(self, incident_ids: Collection[str]) -> Mapping[str, IncidentText]:
        """Incident id -> its text, for those that are stored."""
        stored = await self._store.incidents.find_many(incident_ids)
        return await asyncio.to_thread(lambda: {key: self._redacted(each.incident) for key, each in stored.items()})

    async def change(self) -> Hashable:
        """A value that differs after each change of the history."""
        return await self._store.index_marks.get_version()

    def _redacted(self, incident: Incident) -> IncidentText:
        redacted = self._redactor.redact_incident(incident)
        return IncidentText(redacted.title, redacted.text, redacted.url)


class Indexer:
    """Writes the index from the store."""

    def __init__(self, store: Store, history: Index, redactor: Redactor, embedder: Embedder) -> None:
        self._store = store
        self._history = history
        self._redactor = redactor
        self._embedder = embedder
        self.texts = StoredTexts(store, redactor)
        history.read_from(self.texts)

    async def align(self, incident_ids: Collection[str], marked: Mapping[str, int] | None = None) -> None:
        """Update the index for these incidents, then remove the caller's own marks.

        After writing, the store is read again, and the index written again if it changed: so if two processes write at
        once, the later one leaves the right entries. Raises `IndexUnavailable`; the marks then stay.
        """
        for chunk in _portions(incident_ids):
            expected = await self._expected(chunk)
            for _ in range(_MOST_TRIES):
                await self._write(chunk, expected)
                before, expected = expected, await self._expected(chunk)
                if expected == before:
                    break
            else:
                raise IndexUnavailable("The labels change faster than the index follows.")
        # An index in memory ends with this process: the one that others search is still to be updated.
        if marked and self._history.is_durable:
            await self._store.index_marks.delete(marked.values())

    async def repair(self, older_than_s: float = SETTLED_S) -> int:
        """Update the index for all marks older than this. Returns the number of incidents.

        Marks are left by a process that died, or while the index did not answer. Any number of processes may repair.
        """
        done = 0
        while self._history.is_durable:
            before = datetime.now(UTC) - timedelta(seconds=older_than_s)
            if not (left := await self._store.index_marks.list(before, _PAGE)):
                break
            await self.align(left)
            await self._store.index_marks.delete_through(left)
            done += len(left)
        return done

    async def prepare(self, progress: Progress = silent) -> None:
        """Update the index at start: handle the marks, and compare everything only if the sizes differ."""
        if not self._history.is_durable:
            await self.mend(progress, _BUILDING)
            return
        async with self._store.lock(_TURN):
            await self.repair()
            if await self._history.size() != await self._store.gold.count():
                await self.mend(progress, _BUILDING)

    async def compare(self, progress: Progress = silent, *, all_vectors: bool = False) -> IndexReport:
        """Compare ids, labels, teams, and some or all vectors of the index with those of the store.

        Differences are checked again, since they may be new.
        """
        marks = (await self._store.index_marks.get_version()).waiting
        counts = {"missing": 0, "surplus": 0, "differing": 0, "other_vectors": 0}
        incidents = vectors = 0
        examples: list[str] = []
        async for portion, found in self._differences("Comparing the index", progress, all_vectors=all_vectors):
            incidents += portion.incidents
            vectors += portion.vectors
            for incident_id, kind in found.items():
                counts[kind] += 1
                if len(examples) < _SHOWN:
                    examples.append(f"{incident_id}: {kind.replace('_', ' ')}")
        return IndexReport(incidents, vectors, marks, **counts, examples=tuple(examples))

    async def mend(self, progress: Progress = silent, work: str = "Repairing the index") -> int:
        """Compare the index with the store and write what differs. Returns the number of incidents."""
        mended = 0
        async for _, found in self._differences(work, progress, all_vectors=False, twice=False):
            await self.align(found)
            mended += len(found)
        return mended

    async def rebuild(self, progress: Progress = silent) -> int:
        """Empty the index and fill it from the store, with missing vectors made. Returns the number of incidents."""
        async with self._store.lock(_TURN):
            await self._history.clear()
            await self.mend(progress, _BUILDING)
            return await self._history.size()

    async def embed_missing(self, incidents: Sequence[Incident], anew: Collection[str] = ()) -> dict[str, Vectors]:
        """New vectors for incidents that have none of this embedder, and for the ids in `anew`."""
        known = await self._store.vectors.find_many(self._embedder.fingerprint, [incident.id for incident in incidents])
        missing = [incident for incident in incidents if incident.id not in known or incident.id in anew]
        if not missing:
            return {}
        redact = self._redactor.redact
        texts = await asyncio.to_thread(lambda: [clean_text(redact(incident.text).text) for incident in missing])
        made = await self._embedder.embed(texts)
        return {incident.id: vector for incident, vector in zip(missing, made, strict=True)}

    async def _expected(self, incident_ids: Collection[str]) -> dict[str, _Expected]:
        """What the index should hold of these incidents: nothing of those without gold labels."""
        gold = await self._store.gold.find_many(incident_ids)
        stored = await self._store.incidents.find_many(gold)
        vectors = await self._store.vectors.find_many(self._embedder.fingerprint, stored)
        if missing := [one.incident for key, one in stored.items() if key not in vectors]:
            made = await self.embed_missing(missing)
            await self._store.vectors.save(self._embedder.fingerprint, made)
            vectors |= made
        return {
            key: _Expected(one.incident, gold[key], one.team, np.asarray(vectors[key], np.float32).tobytes())
            for key, one in stored.items()
        }

    async def _write(self, incident_ids: Collection[str], expected: Mapping[str, _Expected]) -> None:
        if expected:
            entries = [(each.incident, each.labels) for each in expected.values()]
            vectors = np.stack([np.frombuffer(each.vector, np.float32) for each in expected.values()])
            await self._history.remember(entries, vectors, [each.team for each in expected.values()])
        await self._history.forget([key for key in incident_ids if key not in expected])

    async def _differences(
        self, work: str, progress: Progress, *, all_vectors: bool, twice: bool = True
    ) -> AsyncIterator[tuple[IndexReport, dict[str, str]]]:
        """For each portion, how much was examined, and incident id -> the kind of difference."""
        total, done, present = await self._store.gold.count(), 0, 0
        progress(work, 0, total)
        async for gold in self._store.gold.pages(_PAGE):
            checked = {key for place, key in enumerate(gold) if all_vectors or place % _SAMPLE_EVERY == 0}
            found, there = await self._compare(gold, checked)
            if found and twice:
                found, _ = await self._compare(await self._store.gold.find_many(found), checked & set(found))
            present += there
            done += len(gold)
            progress(work, min(done, total), total)
            yield IndexReport(len(gold), len(checked), 0), found
        if await self._history.size() > present:
            async for surplus in self._surplus():
                yield IndexReport(0, 0, 0), surplus

    async def _compare(self, gold: Mapping[str, Labels], checked: Collection[str]) -> tuple[dict[str, str], int]:
        """Incident id -> the kind of difference, and how many entries there are."""
        if not gold:
            return {}, 0
        stored = await self._store.incidents.find_many(gold)
        entries = await self._history.entries([key for key in gold if key in stored])
        with_vectors = await self._history.entries(list(checked), vectors=True) if checked else {}
        vectors = await self._store.vectors.find_many(self._embedder.fingerprint, checked)
        found: dict[str, str] = {}
        for key, labels in gold.items():
            if key not in stored:
                continue
            mine = entries.get(key, [])
            if not mine:
                found[key] = "missing"
            elif [(entry.team, entry.labels) for entry in mine] != [(stored[key].team, labels)]:
                found[key] = "differing"
            elif key in vectors and not _alike(vectors[key], with_vectors.get(key, [])):
                found[key] = "other_vectors"
        return found, sum(map(len, entries.values()))

    async def _surplus(self) -> AsyncIterator[dict[str, str]]:
        """Entries of incidents that are not history. All are found first, because deletions would shift the pages."""
        surplus: list[str] = []
        async for ids in self._history.ids():
            gold: set[str] = set()
            for chunk in _portions(ids):
                gold |= set(await self._store.gold.find_many(chunk))
            surplus += [key for key in ids if key not in gold]
        for chunk in _portions(dict.fromkeys(surplus)):
            yield dict.fromkeys(chunk, "surplus")


def _alike(vector: Vectors, entries: Sequence[Entry]) -> bool:
    return all(entry.vector is not None and np.allclose(entry.vector, vector, atol=_ALIKE) for entry in entries)


def _portions(ids: Collection[str]) -> list[list[str]]:
    listed = list(ids)
    return [listed[i : i + _PAGE] for i in range(0, len(listed), _PAGE)]
