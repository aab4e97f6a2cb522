"""The new-category radar: recent incidents that no label fits, grouped, each group with a draft of a label.

`look` reads what is stored, `scan` is the pure function behind it, `phrase` has a chat model word the drafts.
"""

from __future__ import annotations

from triage.insights.radar.drafting import as_yaml
from triage.insights.radar.fitting import Sighting
from triage.insights.radar.phrasing import phrase
from triage.insights.radar.reading import RECENT, Scope, look
from triage.insights.radar.report import Draft, Group, IllFitting, Radar, Reason
from triage.insights.radar.scan import DEFAULT_CRITERIA, Criteria, Suspect, scan
from triage.insights.radar.table import radar_table

__all__ = [
    "DEFAULT_CRITERIA",
    "RECENT",
    "Criteria",
    "Draft",
    "Group",
    "IllFitting",
    "Radar",
    "Reason",
    "Scope",
    "Sighting",
    "Suspect",
    "as_yaml",
    "look",
    "phrase",
    "radar_table",
    "scan",
]
