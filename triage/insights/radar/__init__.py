"""The new-category radar: recent incidents that no label fits, in groups with a draft label each.

`scan_store` reads what is stored, `scan` is the pure function behind it, `phrase` has a chat model word the drafts.
"""

from __future__ import annotations

from triage.insights.radar.findings import Radar, RadarGroup, Sighting, radar_table
from triage.insights.radar.label_drafts import as_yaml, phrase
from triage.insights.radar.scan import DEFAULT_CRITERIA, Criteria, Suspect, scan
from triage.insights.radar.store_scan import RECENT, Scope, scan_store

__all__ = [
    "DEFAULT_CRITERIA",
    "RECENT",
    "Criteria",
    "Radar",
    "RadarGroup",
    "Scope",
    "Sighting",
    "Suspect",
    "as_yaml",
    "phrase",
    "radar_table",
    "scan",
    "scan_store",
]
