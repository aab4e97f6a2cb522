"""Incidents that no label fits well, and why."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np

from triage.domain.incident import Incident
from triage.domain.taxonomy import Facet
from triage.domain.triage_result import FacetResult
from triage.insights.radar.clustering import LEAST_TO_COMPARE
from triage.insights.radar.findings import Reason
from triage.models.embedding import Vectors


class Sighting(NamedTuple):
    """A recent incident with the time it began or arrived, its gold labels of the facet, and its triage result.

    `nearest` is the cosine similarity to the most similar incident of the history, if known.
    """

    incident: Incident
    seen_at: datetime
    labels: tuple[str, ...] = ()
    result: FacetResult | None = None
    nearest: float | None = None

    @property
    def id(self) -> str:
        return self.incident.id


def reasons(facet: Facet, sighting: Sighting, least_probability: float, usual: float | None) -> tuple[Reason, ...]:
    """Why no label of `facet` fits the incident; empty if one does, or if the write-up does not disclose it.

    Gold labels take precedence over the triage. Below the similarity `usual` an incident is far from all others, see
    `usual_nearest`; None disables this.
    """
    if sighting.labels:
        return _of_label(facet, sighting.labels, "gold")
    found: list[Reason] = []
    result = sighting.result
    if result is not None and not result.labels:
        found.append(Reason(kind="abstained", detail=result.abstention or "Triage abstained."))
    elif result is not None:
        if facet.label(result.labels[0]).undisclosed:
            return ()
        found += _of_label(facet, result.labels, "triage")
        if result.probability is not None and result.probability < least_probability:
            sureness = "" if result.is_calibrated else ", not calibrated"
            digits = _digits_apart(result.probability, least_probability)
            found.append(
                Reason(
                    kind="unlikely",
                    detail=f"{result.labels[0]} has a probability of {result.probability:.{digits}%}{sureness}: "
                    f"below {least_probability:.{digits}%}.",
                )
            )
    if usual is not None and sighting.nearest is not None and sighting.nearest < usual:
        found.append(
            Reason(
                kind="far",
                detail=f"The most similar labelled incident has a cosine similarity of {sighting.nearest:.2f}; it is "
                f"{usual:.2f} or more for most of them.",
            )
        )
    return tuple(found)


def usual_nearest(vectors: Vectors, share: float) -> float | None:
    """The similarity to their nearest neighbour that all but `share` of these incidents reach.

    `vectors` has shape (incidents, dimension). None if there are fewer than `LEAST_TO_COMPARE`.
    """
    if len(vectors) < LEAST_TO_COMPARE:
        return None
    alike = vectors @ vectors.T
    np.fill_diagonal(alike, -1.0)
    return float(np.quantile(alike.max(axis=1), share))


def _digits_apart(first: float, second: float) -> int:
    """The number of decimals at which two percentages differ."""
    return next((n for n in range(5) if f"{first:.{n}%}" != f"{second:.{n}%}"), 5)


def _of_label(facet: Facet, labels: Sequence[str], by: str) -> tuple[Reason, ...]:
    label = facet.label(labels[0])
    if not label.residual:
        return ()
    return (Reason(kind="residual", detail=f"Its label ({by}) is {label.id}, which says that no other label fits."),)
