"""The history's index in Chroma: in memory, in a folder, or in a server. It can be rebuilt at any time.

It holds ids, vectors, labels and times, but no texts: see `texts.py`. Each team has its own collection, because a
search with a filter over all of them takes a hundred times as long.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
import uuid
from collections.abc import AsyncIterator, Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from triage.domain.annotation import Labels
from triage.domain.errors import TriageError
from triage.domain.incident import Incident
from triage.domain.triage_result import Neighbour
from triage.history import MOST_EXAMPLES, Example, IndexUnavailable, chroma_client
from triage.history.entries import (
    Entry,
    Found,
    began_at,
    edition,
    had_begun,
    metadata_of,
    read_example,
    read_labels,
    read_neighbour,
)
from triage.history.retrieval import CANDIDATES, DEFAULT_RANKING, Ranking, rank
from triage.history.snapshot import Snapshots
from triage.history.texts import IncidentText, Source, Texts
from triage.models.embedding import Vectors
from triage.observability.spans import Span, span

_BATCH = 1_000
_ANY_TEAM = ""
_FIND_COLLECTIONS_S = 5.0


class ChromaHistory:
    """Labelled incidents in Chroma collections named by embedder, so that vectors never mix, and by team.

    `is_durable` is False for an index in memory, which ends with the process.
    """

    # chromadb's type of its clients lacks `close`.
    def __init__(
        self,
        client: Any,
        name: str,
        lock: FileLock | None = None,
        ranking: Ranking = DEFAULT_RANKING,
        *,
        is_durable: bool = True,
        is_shared: bool = False,
    ) -> None:
        self.is_durable = is_durable
        self._ranking = ranking
        self._client = client
        self._name = name
        self._lock = lock
        self._is_shared = is_shared
        # Two threads gave the best throughput on small machines.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="chroma")
        self._texts = Texts()
        self._snapshots = Snapshots()
        self._found_at = float("-inf")
        self._collections: dict[str, Any] = {}
        self._find_collections()

    @classmethod
    def open(
        cls,
        path: Path | None,
        fingerprint: str,
        ranking: Ranking = DEFAULT_RANKING,
    ) -> ChromaHistory:
        """The history in folder `path`, or in memory if it is None. See `chroma_client.in_folder`."""
        name = _index_name(fingerprint)
        if path is None:
            # In-memory clients of one process share their collections: a unique name separates them.
            unique = f"{name[:40]}-{uuid.uuid4().hex[:12]}"
            return cls(chroma_client.in_memory(), unique, None, ranking, is_durable=False)
        client, lock = chroma_client.in_folder(path)
        return cls(client, name, lock, ranking)

    @classmethod
    def connect(cls, url: str, fingerprint: str, ranking: Ranking = DEFAULT_RANKING) -> ChromaHistory:
        """The history in a Chroma server. Raises `MisconfiguredService` if it can't be reached."""
        return cls(chroma_client.at_server(url), _index_name(fingerprint), None, ranking, is_shared=True)

    def read_from(self, source: Source) -> None:
        """Read texts from `source` from now on, and ask it about changes by other processes."""
        self._texts.source = source
        self._snapshots.change = source.change

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
        """See `History.neighbours`. The closest 200 by embedding are ranked by words too, see `retrieval.py`."""
        if k < 1:
            return []
        excluded = set(exclude)
        candidates, found = max(k + 8, CANDIDATES), list[tuple[Neighbour, str]]()
        with self._span("query") as search:
            while True:
                rows, size = await self._run(self._query, vector, candidates, excluded, teams)
                texts = await self._texts.of([edition(row.incident_id, row.metadata) for row in rows])
                found = [
                    (read_neighbour(row, texts[row.incident_id], text), texts[row.incident_id].text)
                    for row in rows
                    if row.incident_id in texts and had_begun(began_at(row.metadata), as_of)
                ]
                found = [(n, document) for n, document in found if duplicates or not n.is_near_duplicate]
                if len(found) >= k or candidates >= size:
                    break
                candidates *= 2
            best = rank(text, found, self._ranking, as_of)[:k]
            search.set({"db.response.returned_rows": len(best)})
        return best

    async def examples(
        self,
        text: str,
        *,
        exclude: Collection[str] = (),
        duplicates: bool = True,
        as_of: datetime | None = None,
        teams: Collection[str] | None = None,
    ) -> Sequence[Example]:
        """See `History.examples`: the first 5,000 of a larger history."""

        async def read() -> tuple[Example, ...]:
            return await self._read_examples(teams)

        key, excluded = None if teams is None else frozenset(teams), set(exclude)
        with self._span("get") as search:
            every, finder = await self._snapshots.of(key, read)
            copies = set() if duplicates else set(finder.of(text))
            kept = tuple(
                example
                for place, example in enumerate(every)
                if example.incident_id not in excluded and place not in copies and had_begun(example.occurred_at, as_of)
            )
            search.set({"db.response.returned_rows": len(kept)})
        return every if len(kept) == len(every) else kept

    async def remember(
        self, incidents: Sequence[tuple[Incident, Labels]], vectors: Vectors, teams: Sequence[str] | None = None
    ) -> None:
        """See `History.remember`. Without a `Source` texts are held in memory, so redact them first."""
        of_team: dict[str, list[int]] = {}
        for place in range(len(incidents)):
            of_team.setdefault(teams[place] if teams else _ANY_TEAM, []).append(place)
        for team, places in of_team.items():
            for start in range(0, len(places), _BATCH):
                batch = places[start : start + _BATCH]
                metadatas = [metadata_of(*incidents[place]) for place in batch]
                if self._texts.source is None:
                    for place, metadata in zip(batch, metadatas, strict=True):
                        incident = incidents[place][0]
                        text = IncidentText(incident.title, incident.text, incident.url)
                        self._texts.add(edition(incident.id, metadata), text)
                ids = [incidents[place][0].id for place in batch]
                await self._run(self._upsert, team, ids, vectors[batch], metadatas)
        self._snapshots.outdate()

    async def forget(self, incident_ids: Collection[str]) -> None:
        """Remove incidents; unknown ids are ignored."""
        if incident_ids:
            self._texts.drop(incident_ids)
            await self._run(self._delete, list(incident_ids))
            self._snapshots.clear()

    async def clear(self) -> None:
        """Empty the index, before it is rebuilt."""

        def replace() -> None:
            for collection in self._client.list_collections():
                # The one without a team has the first format, which held texts; an older process may still use it.
                if collection.name == self._name or collection.name.startswith(f"{self._name}."):
                    self._client.delete_collection(collection.name)
            self._collections = {}

        await self._run(replace)
        self._snapshots.clear()

    async def entries(self, incident_ids: Collection[str], *, vectors: bool = False) -> dict[str, list[Entry]]:
        """Incident id -> its entries, for those that have any: one, unless something is wrong."""
        found: dict[str, list[Entry]] = await self._run(self._get, list(incident_ids), vectors)
        return found

    async def ids(self, size: int = _BATCH) -> AsyncIterator[list[str]]:
        """The ids of all incidents in the index, in batches."""
        for team in await self._run(lambda: list(self._collections)):
            offset = 0
            while True:
                found = await self._run(
                    lambda t, o: self._collections[t].get(limit=size, offset=o, include=[]), team, offset
                )
                if not found["ids"]:
                    break
                yield found["ids"]
                offset += len(found["ids"])

    async def size(self) -> int:
        """How many incidents the index holds."""
        return int(await self._run(lambda: self._count(None)))

    def close(self) -> None:
        """Close the threads and the database, and release the folder's lock."""
        self._threads.shutdown(wait=True)
        self._client.close()
        if self._lock is not None:
            self._lock.release()

    def _span(self, operation: str) -> Span:
        """A span of a search, named after OpenTelemetry's conventions for retrieval and for databases."""
        attributes = {
            "gen_ai.operation.name": "retrieval",
            "gen_ai.data_source.id": self._name,
            "db.system.name": "chroma",
            "db.operation.name": operation,
            "db.collection.name": self._name,
        }
        return span(f"{operation} {self._name}", attributes, kind="client")

    # The methods below run on the threads.

    def _find_collections(self) -> None:
        found = {}
        for collection in self._client.list_collections():
            if collection.name.startswith(f"{self._name}."):
                found[str((collection.metadata or {}).get("team", _ANY_TEAM))] = self._client.get_collection(
                    collection.name, embedding_function=None
                )
        self._collections = dict(sorted(found.items()))
        self._found_at = time.monotonic()

    def _of_teams(self, teams: Collection[str] | None) -> list[Any]:
        if self._is_shared and time.monotonic() - self._found_at > _FIND_COLLECTIONS_S:
            self._find_collections()
        return [c for team, c in self._collections.items() if teams is None or team in teams]

    def _collection(self, team: str) -> Any:
        if team not in self._collections:
            digest = hashlib.sha256(team.encode()).hexdigest()[:16]
            collection = self._client.get_or_create_collection(
                f"{self._name}.{digest}",
                metadata={"team": team},
                embedding_function=None,
                configuration={"hnsw": {"space": "cosine"}},
            )
            self._collections = dict(sorted((self._collections | {team: collection}).items()))
        return self._collections[team]

    def _upsert(self, team: str, ids: list[str], vectors: Vectors, metadatas: list[dict[str, Any]]) -> None:
        self._collection(team).upsert(ids=ids, embeddings=vectors, metadatas=metadatas)
        for other, collection in list(self._collections.items()):
            if other != team:
                collection.delete(ids=ids)

    def _delete(self, ids: list[str]) -> None:
        for collection in self._of_teams(None):
            collection.delete(ids=ids)

    def _get(self, ids: list[str], vectors: bool) -> dict[str, list[Entry]]:
        entries: dict[str, list[Entry]] = {}
        self._of_teams(None)
        for team, collection in self._collections.items():
            found = collection.get(ids=ids, include=["metadatas", *(["embeddings"] if vectors else [])])
            for place, incident_id in enumerate(found["ids"]):
                vector = np.asarray(found["embeddings"][place], dtype=np.float32) if vectors else None
                entry = Entry(team, read_labels(found["metadatas"][place]["labels"]), vector)
                entries.setdefault(incident_id, []).append(entry)
        return entries

    def _count(self, teams: Collection[str] | None) -> int:
        return sum(collection.count() for collection in self._of_teams(teams))

    def _query(
        self, vector: Vectors, n: int, excluded: set[str], teams: Collection[str] | None
    ) -> tuple[list[Found], int]:
        """The closest `n` of these teams without the excluded ones, nearest first, and the size of these teams."""
        found, size = list[Found](), 0
        for collection in self._of_teams(teams):
            count = collection.count()
            size += count
            if not count:
                continue
            most = min(n, count)
            result = collection.query(
                query_embeddings=[vector],
                n_results=most + len(excluded) if len(excluded) < most else most,
                include=["metadatas", "distances"],
                # The index filters a long list of excluded ids; a short one is filtered below.
                **({"where": {"incident_id": {"$nin": sorted(excluded)}}} if len(excluded) >= most else {}),
            )
            rows = zip(result["ids"][0], result["distances"][0], result["metadatas"][0], strict=True)
            found += [Found(*row) for row in rows if row[0] not in excluded]
        return sorted(found, key=lambda row: row.distance)[: n + len(excluded)], size

    async def _read_examples(self, teams: Collection[str] | None) -> tuple[Example, ...]:
        def read() -> list[tuple[str, Vectors, dict[str, Any]]]:
            rows: list[tuple[str, Vectors, dict[str, Any]]] = []
            for collection in self._of_teams(teams):
                if len(rows) < MOST_EXAMPLES:
                    found = collection.get(limit=MOST_EXAMPLES - len(rows), include=["metadatas", "embeddings"])
                    rows += zip(found["ids"], found["embeddings"], found["metadatas"], strict=True)
            return rows

        rows = await self._run(read)
        texts = await self._texts.of([edition(incident_id, metadata) for incident_id, _, metadata in rows])
        return tuple(read_example(key, texts[key], vector, metadata) for key, vector, metadata in rows if key in texts)

    async def _run(self, function: Any, *args: Any) -> Any:
        def call() -> Any:
            from chromadb.errors import NotFoundError

            try:
                return function(*args)
            except NotFoundError:
                # Another process rebuilt the index: its collections are new.
                self._find_collections()
                return function(*args)

        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, call)
        except TriageError:
            raise
        except Exception as error:
            raise IndexUnavailable(
                f"The index of the history does not answer as it should ({type(error).__name__}: {error}). If it is a "
                "Chroma server, check that it runs; `triage index verify` checks whether the index is complete."
            ) from error


def _index_name(fingerprint: str) -> str:
    return re.sub(r"[^a-zA-Z0-9-]+", "-", f"history-{fingerprint}-d").strip("-")[:200]
