"""Groups of incidents that are alike, by their embeddings, and how far apart they stand from the labelled ones."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from triage.models.embedding import Vectors, normalise

Floats = NDArray[np.float64]

LEAST_TO_COMPARE = 20
"""With fewer labelled incidents it can't be told what is usual."""


class Space:
    """Embeddings with what all labelled incidents have in common taken off: their mean.

    Write-ups of one kind, such as one vendor's reports, are alike in much that tells nothing of the fault, and what is
    left compares better. `labelled` has shape (incidents, dimension), at least one of them.
    """

    def __init__(self, labelled: Vectors) -> None:
        self._mean = np.asarray(labelled, dtype=np.float64).mean(axis=0)
        self.labelled = self.place(labelled)

    def place(self, vectors: Vectors) -> Floats:
        """The vectors with the mean taken off, of length 1 again; shape (incidents, dimension)."""
        return normalise(np.asarray(vectors, dtype=np.float64) - self._mean)

    def alike(self, share: float) -> float:
        """The cosine similarity that all but `share` of the pairs of labelled incidents stay below."""
        pairs = (self.labelled @ self.labelled.T)[np.triu_indices(len(self.labelled), 1)]
        return float(np.quantile(pairs, 1.0 - share))


def groups_of(placed: Floats, alike: float, least: int) -> list[list[int]]:
    """The places of incidents that are alike: two of a group have a similarity of `alike` on average, or more.

    Average-linkage agglomerative clustering, cut there. Groups of fewer than `least` are left out, the others stand
    largest first. The same vectors always make the same groups.
    """
    from sklearn.cluster import AgglomerativeClustering

    if len(placed) < max(least, 2):
        return []
    distances = np.clip(1.0 - placed @ placed.T, 0.0, 2.0)
    fitted = AgglomerativeClustering(
        n_clusters=None, metric="precomputed", linkage="average", distance_threshold=1.0 - alike
    ).fit(distances)
    found = [np.flatnonzero(fitted.labels_ == label).tolist() for label in range(fitted.n_clusters_)]
    return sorted((group for group in found if len(group) >= least), key=lambda group: (-len(group), group))


def apartness(group: Floats, labelled: Floats, neighbours: int = 5) -> float:
    """How far a group is a kind of its own, 0 to 1: the share of its incidents' nearest ones that are of the group.

    The `neighbours` nearest of each, or as many as there are others in the group, are looked for among these others and
    the labelled incidents. Hard cases of a known label lie among those that have it, whatever their probability.
    """
    k = min(neighbours, len(group) - 1)
    if k < 1:
        return 0.0
    own = group @ group.T
    np.fill_diagonal(own, -np.inf)
    together = np.hstack([own, group @ labelled.T])
    # Ties go to the labelled ones: an incident that is like them is no new kind.
    is_own = np.broadcast_to(np.arange(together.shape[1]) < len(group), together.shape)
    order = np.lexsort((is_own, -together), axis=1)
    return float((order[:, :k] < len(group)).mean())
