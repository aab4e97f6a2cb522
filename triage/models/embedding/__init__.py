"""Embedders: the port. Adapters: `onnx.py` (local) and `openai.py` (any OpenAI-compatible endpoint)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Shape (texts, dimension), rows of length 1."""

_Float = TypeVar("_Float", bound=np.floating[Any])


class Embedder(Protocol):
    """Turns texts into unit vectors. Two embedders with the same `fingerprint` give the same vectors."""

    @property
    def fingerprint(self) -> str: ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimension), each of length 1. Raises `ModelUnavailable`."""
        ...

    async def aclose(self) -> None:
        """Close the connections, if there are any."""
        ...


def normalise(vectors: NDArray[_Float]) -> NDArray[_Float]:
    """Scale a vector, or each row of a matrix, to length 1. Zeros stay zeros.

    >>> normalise(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    unit: NDArray[_Float] = vectors / np.maximum(lengths, 1e-12)
    return unit
