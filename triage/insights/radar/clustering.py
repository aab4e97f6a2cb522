"""Clusters of similar incidents by their embeddings, and how far they are from labelled incidents."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triage.models.embedding import Vectors, normalise

Floats = NDArray[np.float64]

LEAST_TO_COMPARE = 20
"""With fewer labelled incidents, usual similarities are unknown."""


class Space:
    """Embeddings minus the mean of all labelled incidents.

    Write-ups of one source share much that says nothing about the fault; what is left compares better. `labelled` has
    shape (incidents, dimension) with at least one row.
    """

    def __init__(self, labelled: Vectors) -> None:
        self._mean = np.asarray(labelled, dtype=np.float64).mean(axis=0)
        self.labelled = self.place(labelled)

    def place(self, vectors: Vectors) -> Floats:
        """Centred unit vectors, shape (incidents, dimension)."""
        return normalise(np.asarray(vectors, dtype=np.float64) - self._mean)

    def alike(self, share: float) -> float:
        """The cosine similarity that all but `share` of the pairs of labelled incidents stay below."""
        pairs = (self.labelled @ self.labelled.T)[np.triu_indices(len(self.labelled), 1)]
        return float(np.quantile(pairs, 1.0 - share))


def groups_of(placed: Floats, alike: float, least: int) -> list[list[int]]:
    """Row numbers of similar incidents: the mean similarity of a group's pairs is at least `alike`.

    Average-linkage agglomerative clustering, cut there. Groups smaller than `least` are left out; the largest comes
    first. Deterministic.
    """
    from sklearn.cluster import AgglomerativeClustering

    if len(placed) < max(least, 2):
        return []
    distances = np.clip(1.0 - placed @ placed.T, 0.0, 2.0)
    fitted = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1.0 - alike
    ).fit(distances)
    clusters = [np.flatnonzero(fitted.labels_ == label).tolist() for label in range(fitted.n_clusters_)]
    return sorted((group for group in clusters if len(group) >= least), key=lambda group: (-len(group), group))


def apartness(group: Floats, labelled: Floats, neighbours: int = 5) -> float:
    """How separate a group is, 0 to 1: the share of its incidents' nearest neighbours that are in the group.

    The `neighbours` nearest of each (at most the group size minus 1) are taken from the group and the labelled
    incidents. Hard cases of a known label lie among the incidents of that label.
    """
    k = min(neighbours, len(group) - 1)
    if k < 1:
        return 0.0
    own = group @ group.T
    np.fill_diagonal(own, -np.inf)
    together = np.hstack([own, group @ labelled.T])
    # Ties go to labelled incidents: an incident equally similar to them is not a new kind.
    is_own = np.broadcast_to(np.arange(together.shape[1]) < len(group), together.shape)
    order = np.lexsort((is_own, -together), axis=1)
    return float((order[:, :k] < len(group)).mean())
