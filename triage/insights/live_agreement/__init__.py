"""Live agreement: the deployed model and the people who label what it triaged, as they stand in the store.

`LiveAgreement` watches a sliding window and raises alerts; `LiveFigures` looks closer, at any window.
"""

from __future__ import annotations

from triage.insights.live_agreement.figures import FacetFigures, FacetOverview, LiveFigures, Overview
from triage.insights.live_agreement.report import LiveAgreement, LiveFacet, LiveOptions, LiveReport, live_facet
from triage.insights.live_agreement.selection import Selection

__all__ = [
    "FacetFigures",
    "FacetOverview",
    "LiveAgreement",
    "LiveFacet",
    "LiveFigures",
    "LiveOptions",
    "LiveReport",
    "Overview",
    "Selection",
    "live_facet",
]
