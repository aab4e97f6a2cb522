"""Vectors of texts that stay the same from one start to the next, such as definitions: kept in a folder."""

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


async def embed_once(embedder: Embedder, texts: Sequence[str], folder: Path | None) -> Vectors:
    """Vectors of shape (len(texts), dimension), each of length 1; read from `folder` where they are kept there.

    They are kept under what made them: the embedder's fingerprint and the texts. A file that can't be read is made
    anew, and a folder that can't be written costs only time. With None nothing is kept. Raises `ModelUnavailable`.
    """
    if folder is None or not texts:
        return await embedder.embed(texts)
    digest = hashlib.sha256("\0".join([embedder.fingerprint, *texts]).encode()).hexdigest()
    path = folder / f"{digest[:32]}.npy"
    kept = _read(path)
    if kept is not None and len(kept) == len(texts):
        return kept
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
    # Every version of a taxonomy leaves a file: those made last stay.
    newest_first = sorted(path.parent.glob("*.npy"), key=lambda each: each.stat().st_mtime, reverse=True)
    for old in newest_first[_MOST_FILES:]:
        old.unlink(missing_ok=True)
