"""The new-category radar: recent incidents that no label fits, grouped, each group with a draft of a label.

`look` reads what is stored, `scan` is the pure function behind it, `phrase` has a chat model word the drafts.
"""

from __future__ import annotations

from triage.radar.drafting import as_yaml
from triage.radar.fitting import Sighting
from triage.radar.phrasing import phrase
from triage.radar.reading import RECENT, Scope, look
from triage.radar.report import Draft, Group, IllFitting, Radar, Reason
from triage.radar.scan import DEFAULT_CRITERIA, Criteria, Suspect, scan
from triage.radar.table import radar_table

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
