"""Live agreement between the deployed model and the people who label its incidents.

`LiveAgreement` watches a sliding window and raises alerts; `LiveFigures` gives detailed figures of any window.
"""

from __future__ import annotations

from triage.insights.live_agreement.facet_figures import FacetFigures, LiveFigures, Overview
from triage.insights.live_agreement.judgements import Selection
from triage.insights.live_agreement.watch import LiveAgreement, LiveOptions, LiveReport

__all__ = ["FacetFigures", "LiveAgreement", "LiveFigures", "LiveOptions", "LiveReport", "Overview", "Selection"]
