"""A study as a document of bounded length: of each figure some incidents are named, and how many there are."""

from __future__ import annotations

from typing import Any

from triage.insights.study.study import Study

MOST_GROUPS = 100
"""Groups of repeats, the largest first."""
_IDS = frozenset({"incident_ids", "ended", "open", "unknown", "unlabelled"})


def shortened(study: Study, most_ids: int) -> dict[str, Any]:
    """The study for JSON with at most so many ids beside each figure, and `MOST_GROUPS` of repeats.

    All counts are those of the whole study.
    """
    document = study.model_dump(mode="json")
    document["repeats"]["groups"] = document["repeats"]["groups"][:MOST_GROUPS]
    _shorten(document, most_ids)
    return document


def _shorten(value: Any, most: int) -> None:
    if isinstance(value, list):
        for each in value:
            _shorten(each, most)
    elif isinstance(value, dict):
        for name, each in value.items():
            if name in _IDS:
                value[name] = each[:most]
            else:
                _shorten(each, most)
