"""How values are written on pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from markupsafe import Markup, escape

from triage.render.quantities import duration, percent, plural

# Characters that HTML can't hold, and halves of surrogate pairs, which UTF-8 can't.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def when(moment: datetime | None) -> Markup:
    """A moment in UTC, to the minute; the script of the pages adds how long ago that is and the local time."""
    if moment is None:
        return Markup('<span class="muted">unknown</span>')
    at = moment.astimezone(UTC)
    # Both are digits and letters of our own.
    return Markup(f'<time datetime="{at:%Y-%m-%dT%H:%M:%SZ}">{at:%Y-%m-%d %H:%M} UTC</time>')  # noqa: S704


def ago(moment: datetime) -> Markup:
    """How long ago a moment was, in short; the script of the pages adds the moment itself."""
    seconds = max(0, round((datetime.now(UTC) - moment).total_seconds()))
    minutes = seconds / 60 if seconds < 60 else round(seconds / 60)
    told = duration(minutes) if minutes < 2 * 1440 else f"{minutes / 1440:.0f} d"
    return Markup(f'<time datetime="{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}">{told} ago</time>')  # noqa: S704


def printable(text: str | None) -> Markup:
    """Text of others, escaped, with what HTML can't hold replaced."""
    return escape(_UNPRINTABLE.sub("\ufffd", text or ""))


def outside(url: str | None) -> str:
    """A link of others if it leads to a website, else nothing: no scripts, no files.

    >>> outside("https://example.org/x"), outside("javascript:alert(1)")
    ('https://example.org/x', '')
    """
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return ""
    return (url or "") if parts.scheme in ("http", "https") and parts.netloc else ""


def incident_path(incident_id: str) -> str:
    """Where the page of an incident is."""
    return f"/incidents/{quote(incident_id, safe='')}"


FILTERS: Mapping[str, Callable[..., Any]] = {
    "when": when,
    "ago": ago,
    "duration": duration,
    "percent": percent,
    "printable": printable,
    "outside": outside,
    "incident_path": incident_path,
    "plural": plural,
}
"""The filters of the templates."""
