"""How values are written on pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from markupsafe import Markup, escape

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
    minutes = max(0.0, (datetime.now(UTC) - moment).total_seconds() / 60)
    told = duration(minutes) if minutes < 2 * 1440 else f"{minutes / 1440:.0f} d"
    return Markup(f'<time datetime="{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}">{told} ago</time>')  # noqa: S704


def duration(minutes: float | None) -> str:
    """Minutes as people say them.

    >>> duration(4.6), duration(75), duration(60 * 50), duration(None)
    ('5 min', '1 h 15 min', '2 d 2 h', '')
    """
    if minutes is None:
        return ""
    whole = round(minutes)
    days, hours, left = whole // 1440, whole % 1440 // 60, whole % 60
    if days:
        return f"{days} d {hours} h" if hours else f"{days} d"
    if hours:
        return f"{hours} h {left:02} min" if left else f"{hours} h"
    return f"{left} min" if whole else f"{minutes * 60:.0f} s"


def percent(share: float | None) -> str:
    """A share or a probability; what is not certain is never written as certain.

    >>> percent(0.874), percent(0.9996), percent(0.0004), percent(1.0), percent(None)
    ('87%', '>99%', '<1%', '100%', '')
    """
    if share is None:
        return ""
    if 0 < share < 0.005:
        return "<1%"
    return ">99%" if 0.995 < share < 1 else f"{share:.0%}"


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


def plural(n: int, one: str, many: str | None = None) -> str:
    """A number with its noun.

    >>> plural(1, "incident"), plural(0, "incident"), plural(2, "category", "categories")
    ('1 incident', '0 incidents', '2 categories')
    """
    return f"{n:,} {one if n == 1 else many or one + 's'}"


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
