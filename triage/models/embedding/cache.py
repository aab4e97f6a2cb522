"""Caches of vectors on disk: of texts that rarely change, such as definitions, and of all texts of an evaluation."""

from __future__ import annotations

import contextlib
import hashlib
import io
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from triage.domain.errors import InvalidInput
from triage.models.embedding import Embedder, Vectors
from triage.render.atomic_write import write_atomically

_MOST_FILES = 8
_BUSY_S = 60.0
_SET_UP = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = OFF;
CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID;
"""
_SELECT = "SELECT vector FROM vectors WHERE key = ?"


class CachedEmbedder:
    """An embedder that embeds no text twice: its vectors are kept in an SQLite file. Implements the `Embedder` port.

    Texts are stored as hashes only. Several processes and embedders may share the file. Raises `InvalidInput` for a
    damaged one.
    """

    def __init__(self, embedder: Embedder, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._embedder = embedder
        self._file = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
        try:
            self._file.executescript(_SET_UP)
        except sqlite3.DatabaseError as error:
            raise InvalidInput(
                f"The vectors in {path} can't be read ({error}): delete the file.", field="cache"
            ) from error

    @property
    def fingerprint(self) -> str:
        """That of the embedder whose vectors are kept."""
        return self._embedder.fingerprint

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """See `Embedder.embed`."""
        keys = [hashlib.sha256(f"{self.fingerprint}\0{text}".encode()).digest() for text in texts]
        known = self._get(keys)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            vectors = await self._embedder.embed(list(new.values()))
            known |= dict(zip(new, vectors, strict=True))
            rows = [(key, known[key].astype(np.float32).tobytes()) for key in new]
            self._file.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", rows)
        return np.stack([known[key] for key in keys]) if keys else await self._embedder.embed(texts)

    async def aclose(self) -> None:
        """Close the file and the embedder."""
        self._file.close()
        await self._embedder.aclose()

    def _get(self, keys: Sequence[bytes]) -> dict[bytes, Vectors]:
        rows = ((key, self._file.execute(_SELECT, (key,)).fetchone()) for key in keys)
        return {key: np.frombuffer(row[0], dtype=np.float32) for key, row in rows if row is not None}


async def embed_cached(embedder: Embedder, texts: Sequence[str], folder: Path | None) -> Vectors:
    """Vectors of shape (len(texts), dimension), each of length 1, from the cache in `folder` if they are there.

    The key is the embedder's fingerprint and the texts. Unreadable files are replaced, and a folder that can't be
    written is ignored. Without a folder nothing is cached. Raises `ModelUnavailable`.
    """
    if folder is None or not texts:
        return await embedder.embed(texts)
    digest = hashlib.sha256("\0".join([embedder.fingerprint, *texts]).encode()).hexdigest()
    path = folder / f"{digest[:32]}.npy"
    cached = _read(path)
    if cached is not None and len(cached) == len(texts):
        return cached
    vectors = await embedder.embed(texts)
    with contextlib.suppress(OSError):
        _write(path, vectors)
    return vectors


def _read(path: Path) -> Vectors | None:
    try:
        vectors = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return vectors if vectors.ndim == 2 and vectors.dtype == np.float32 else None


def _write(path: Path, vectors: Vectors) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    content = io.BytesIO()
    np.save(content, vectors, allow_pickle=False)
    write_atomically(path, content.getvalue())
    # Every version of a taxonomy adds a file: keep the newest.
    newest_first = sorted(path.parent.glob("*.npy"), key=lambda file: file.stat().st_mtime, reverse=True)
    for old in newest_first[_MOST_FILES:]:
        old.unlink(missing_ok=True)
