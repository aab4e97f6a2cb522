"""A cache on disk for vectors of texts that rarely change, such as definitions."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from triage.models.embedding import Embedder, Vectors
from triage.render.atomic_write import write_atomically

_MOST_FILES = 8


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
