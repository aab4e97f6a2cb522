"""Texts as vectors: the port; its adapters are files beside this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]
"""Shape (texts, dimension), rows of length 1."""


class Embedder(Protocol):
    """Turns texts into unit vectors. Two embedders with the same `fingerprint` give the same vectors."""

    @property
    def fingerprint(self) -> str: ...

    async def embed(self, texts: Sequence[str]) -> Vectors:
        """Vectors of shape (len(texts), dimension), each of length 1. Raises `ModelUnavailable`."""
        ...

    async def aclose(self) -> None:
        """End the connections, if there are any."""
        ...
