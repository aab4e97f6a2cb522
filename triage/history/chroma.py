"""The history's index in Chroma: in process (persistent or in memory) or a server. It can be rebuilt at any time."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from triage.annotation import Labels
from triage.embedding import Vectors
from triage.errors import MisconfiguredService
from triage.history import Example
from triage.history.duplicates import is_near_duplicate
from triage.history.retrieval import DEFAULT_RANKING, Ranking, rank
from triage.history.tracing import traced
from triage.incident import Incident
from triage.triage_result import Neighbour

_log = logging.getLogger(__name__)

_BATCH = 1_000
_EXCERPT_CHARACTERS = 280
_MOST_EXAMPLES = 5_000
_CANDIDATES = 200
_PROBE_TIMEOUT_S = 60
# Opening a damaged store can kill the process, so a child process tries it first.
_PROBE = """
import sys, chromadb
from chromadb.config import Settings
client = chromadb.PersistentClient(sys.argv[1], settings=Settings(anonymized_telemetry=False))
for collection in client.list_collections():
    found = client.get_collection(collection.name, embedding_function=None).get(limit=1, include=["embeddings"])
    if found["ids"]:
        client.get_collection(collection.name, embedding_function=None).query(
            query_embeddings=[found["embeddings"][0]], n_results=1)
"""


class ChromaHistory:
    """Labelled incidents in one Chroma collection, named by the embedder's fingerprint so that vectors never mix."""

    # The type that chromadb gives its clients does not know their `close`.
    def __init__(
        self, client: Any, collection: str, lock: FileLock | None = None, ranking: Ranking = DEFAULT_RANKING
    ) -> None:
        self._ranking = ranking
        self._client = client
        self._name = collection
        self._lock = lock
        # Two threads gave the best throughput on small machines.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="chroma")
        self._collection = self._open_collection()

    @classmethod
    def open(
        cls,
        path: Path | None,
        fingerprint: str,
        dimension: int | None = None,
        ranking: Ranking = DEFAULT_RANKING,
    ) -> ChromaHistory:
        """The history in folder `path`, or one in memory where it is None.

        A damaged folder is moved aside and an empty index takes its place: the vectors are in the system of record.
        Raises `MisconfiguredService` if another process has the folder open.
        """
        import chromadb
        from chromadb.config import Settings

        settings = Settings(anonymized_telemetry=False)
        name = _collection_name(fingerprint, dimension)
        if path is None:
            # In-memory clients of one process share their collections: a name of its own keeps this one apart.
            return cls(
                chromadb.EphemeralClient(settings=settings), f"{name[:40]}-{uuid.uuid4().hex[:12]}", None, ranking
            )
        path.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.parent / f"{path.name}.lock")
        try:
            lock.acquire(timeout=5)
        except Timeout as error:
            raise MisconfiguredService(
                f"Another process is using the index in {path}: stop it, set TRIAGE_DATA_DIR to another folder, "
                "or run a Chroma server and set TRIAGE_CHROMA_URL.",
                path=str(path),
            ) from error
        _set_aside_if_damaged(path)
        return cls(chromadb.PersistentClient(str(path), settings=settings), name, lock, ranking)

    @classmethod
    def connect(
        cls, url: str, fingerprint: str, dimension: int | None = None, ranking: Ranking = DEFAULT_RANKING
    ) -> ChromaHistory:
        """The history in a Chroma server. Raises `MisconfiguredService` if it can't be reached."""
        import chromadb
        from chromadb.config import Settings

        match = re.fullmatch(r"(https?)://([^:/]+)(?::(\d+))?/?", url)
        if match is None:
            raise MisconfiguredService(f"TRIAGE_CHROMA_URL must look like http://host:8000, not {url!r}.")
        scheme, host, port = match.groups()
        try:
            client = chromadb.HttpClient(
                host,
                int(port or 8000),
                ssl=scheme == "https",
                settings=Settings(anonymized_telemetry=False),
            )
        except Exception as error:
            raise MisconfiguredService(
                f"No Chroma server answers at {url} ({type(error).__name__}): start it with `chroma run`, "
                "or unset TRIAGE_CHROMA_URL to use the index in process."
            ) from error
        return cls(client, _collection_name(fingerprint, dimension), None, ranking)

    @traced("query")
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
        """See `History.neighbours`. The closest 200 by embedding are ranked by words too, see `retrieval.py`."""
        if k < 1:
            return []
        excluded = set(exclude)
        wanted, found = max(k + 8, _CANDIDATES), list[tuple[Neighbour, str]]()
        size = await self.size()
        while size:
            found = [
                (neighbour.model_copy(update={"is_near_duplicate": is_near_duplicate(text, document)}), document)
                for neighbour, document in await self._run(self._query, vector, min(wanted, size), excluded)
                if _had_begun(neighbour.occurred_at, as_of)
            ]
            found = [(n, document) for n, document in found if duplicates or not n.is_near_duplicate]
            if len(found) >= k or wanted >= size:
                break
            wanted *= 2
        return rank(text, found, self._ranking, as_of)[:k]

    @traced("get")
    async def examples(
        self, text: str, *, exclude: Collection[str] = (), duplicates: bool = True, as_of: datetime | None = None
    ) -> list[Example]:
        """See `History.examples`: of a history with over 5,000 incidents the first ones are given."""
        found = await self._run(
            self._collection.get, limit=_MOST_EXAMPLES, include=["documents", "metadatas", "embeddings"]
        )
        excluded = set(exclude)
        rows = zip(found["ids"], found["documents"], found["embeddings"], found["metadatas"], strict=True)
        return [
            example
            for example in (_example(*row) for row in rows)
            if example.incident_id not in excluded
            and _had_begun(example.occurred_at, as_of)
            and (duplicates or not is_near_duplicate(text, example.text))
        ]

    async def remember(self, incidents: Sequence[tuple[Incident, Labels]], vectors: Vectors) -> None:
        """See `History.remember`. The index holds the texts it is given: redact them before."""
        for start in range(0, len(incidents), _BATCH):
            batch = incidents[start : start + _BATCH]
            await self._run(
                self._collection.upsert,
                ids=[incident.id for incident, _ in batch],
                embeddings=vectors[start : start + _BATCH],
                documents=[incident.text for incident, _ in batch],
                metadatas=[_metadata(incident, labels) for incident, labels in batch],
            )

    async def forget(self, incident_ids: Collection[str]) -> None:
        """Take incidents out; ids that are not there are ignored."""
        if incident_ids:
            await self._run(self._collection.delete, ids=list(incident_ids))

    async def clear(self) -> None:
        """Empty the index, before it is rebuilt."""

        def replace() -> None:
            self._client.delete_collection(self._name)
            self._collection = self._open_collection()

        await self._run(replace)

    async def labels(self) -> dict[str, Labels]:
        """Incident id -> its labels, of all incidents in the index."""
        found = await self._run(self._collection.get, include=["metadatas"])
        return {
            incident_id: {facet: tuple(ids) for facet, ids in json.loads(metadata["labels"]).items()}
            for incident_id, metadata in zip(found["ids"], found["metadatas"], strict=True)
        }

    async def size(self) -> int:
        """How many incidents the index holds."""
        return int(await self._run(self._collection.count))

    @property
    def collection(self) -> str:
        """What the index calls the collection."""
        return self._name

    def close(self) -> None:
        """Let go of the threads, the database and the folder's lock."""
        self._threads.shutdown(wait=True)
        self._client.close()
        if self._lock is not None:
            self._lock.release()

    def _open_collection(self) -> Any:
        return self._client.get_or_create_collection(
            self._name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def _query(self, vector: Vectors, n: int, excluded: set[str]) -> list[tuple[Neighbour, str]]:
        result = self._collection.query(
            query_embeddings=[vector],
            n_results=n + len(excluded) if len(excluded) < n else n,
            include=["documents", "metadatas", "distances"],
            # A long list of excluded ids is left out by the index itself, a short one afterwards.
            **({"where": {"incident_id": {"$nin": sorted(excluded)}}} if len(excluded) >= n else {}),
        )
        rows = zip(
            result["ids"][0], result["documents"][0], result["metadatas"][0], result["distances"][0], strict=True
        )
        return [
            (_neighbour(incident_id, document, metadata, 1 - distance), document)
            for incident_id, document, metadata, distance in rows
            if incident_id not in excluded
        ]

    async def _run(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, lambda: function(*args, **kwargs))


def _collection_name(fingerprint: str, dimension: int | None) -> str:
    name = re.sub(r"[^a-zA-Z0-9-]+", "-", f"history-{fingerprint}-{dimension or 'd'}").strip("-")
    return name[:200]


def _metadata(incident: Incident, labels: Labels) -> dict[str, str | float]:
    metadata: dict[str, str | float] = {
        "incident_id": incident.id,
        "title": incident.title,
        "url": incident.url,
        "labels": json.dumps(labels),
    }
    if incident.started_at is not None:
        metadata["occurred_at"] = incident.started_at.isoformat()
    if incident.ttm_minutes is not None:
        metadata["ttm_minutes"] = incident.ttm_minutes
    return metadata


def _neighbour(incident_id: str, document: str, metadata: dict[str, Any], similarity: float) -> Neighbour:
    title = metadata["title"]
    body = document.removeprefix(title).strip()
    return Neighbour(
        incident_id=incident_id,
        title=title,
        url=metadata["url"],
        excerpt=body[:_EXCERPT_CHARACTERS],
        similarity=similarity,
        labels=_labels(metadata),
        occurred_at=_occurred_at(metadata),
        ttm_minutes=metadata.get("ttm_minutes"),
    )


def _example(incident_id: str, document: str, vector: Vectors, metadata: dict[str, Any]) -> Example:
    return Example(
        incident_id=incident_id,
        text=document,
        vector=vector,
        labels=_labels(metadata),
        title=metadata["title"],
        url=metadata["url"],
        occurred_at=_occurred_at(metadata),
        ttm_minutes=metadata.get("ttm_minutes"),
    )


def _occurred_at(metadata: dict[str, Any]) -> datetime | None:
    moment = metadata.get("occurred_at")
    return datetime.fromisoformat(moment) if moment else None


def _had_begun(occurred_at: datetime | None, as_of: datetime | None) -> bool:
    return as_of is None or (occurred_at is not None and occurred_at < as_of)


def _labels(metadata: dict[str, Any]) -> Labels:
    return {facet: tuple(ids) for facet, ids in json.loads(metadata["labels"]).items()}


def _set_aside_if_damaged(path: Path) -> None:
    if not (path / "chroma.sqlite3").exists():
        return
    try:
        probe = subprocess.run(
            [sys.executable, "-c", _PROBE, str(path)], capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False
        )
        if probe.returncode == 0:
            return
        cause = probe.stderr.decode(errors="replace").strip().splitlines()[-1:]
    except subprocess.TimeoutExpired:
        cause = [f"no answer within {_PROBE_TIMEOUT_S} s"]
    aside = path.with_name(f"{path.name}.damaged-{int(time.time())}")
    path.rename(aside)
    path.mkdir()
    _log.warning("The index in %s could not be opened (%s); moved to %s, a new one is built.", path, cause, aside.name)
