"""Mitigations ranked by their support among similar incidents."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

from triage.decision import VOTE_TEMPERATURE
from triage.taxonomy import Taxonomy
from triage.triage_result import FacetResult, Neighbour, Suggestion


def suggest(
    taxonomy: Taxonomy, neighbours: Sequence[Neighbour], decided: Mapping[str, FacetResult]
) -> list[Suggestion]:
    """Mitigations used in similar incidents, best supported first; none for a taxonomy without a mitigation facet.

    The score is the share of the neighbours that used a mitigation, each weighted by its similarity; a neighbour with
    the label decided for the first facet (the kind of incident) weighs double.
    """
    facet = taxonomy.mitigation
    if facet is None:
        return []
    actions = {label.id for label in facet.labels if not label.undisclosed}
    used = [(n, [m for m in n.labels.get(facet.id, ()) if m in actions]) for n in neighbours]
    used = [(n, mitigations) for n, mitigations in used if mitigations]
    kind = taxonomy.facets[0].id
    labels = set(decided[kind].labels) if kind in decided else set()
    weights = {
        n.incident_id: math.exp((n.similarity - 1) / VOTE_TEMPERATURE)
        * (2 if labels & set(n.labels.get(kind, ())) else 1)
        for n, _ in used
    }
    suggestions = [
        _suggestion(mitigation, [n for n, ms in used if mitigation in ms], weights)
        for mitigation in dict.fromkeys(m for _, ms in used for m in ms)
    ]
    return sorted(suggestions, key=lambda s: (-s.score, -s.support, s.mitigation))


def _suggestion(mitigation: str, supporters: list[Neighbour], weights: dict[str, float]) -> Suggestion:
    times = [n.ttm_minutes for n in supporters if n.ttm_minutes is not None]
    return Suggestion(
        mitigation=mitigation,
        score=min(1.0, sum(weights[n.incident_id] for n in supporters) / sum(weights.values())),
        support=len(supporters),
        considered=len(weights),
        incidents=tuple(n.incident_id for n in supporters),
        median_ttm_minutes=median(times) if times else None,
        ttm_range_minutes=(min(times), max(times)) if times else None,
        ttm_count=len(times),
    )
