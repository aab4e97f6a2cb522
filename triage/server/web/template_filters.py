"""The filters of the templates."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlsplit

from markupsafe import Markup, escape

from triage.render.html import replace_unprintable
from triage.render.quantities import duration, ended_in, percent, plural


def when(moment: datetime | None) -> Markup:
    """A time in UTC, to the minute. `app.js` adds the local time and how long ago it was."""
    if moment is None:
        return Markup('<span class="muted">unknown</span>')
    return _time(moment, f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC")


def ago(moment: datetime) -> Markup:
    """How long ago a time was. `app.js` adds the time itself."""
    seconds = max(0, round((datetime.now(UTC) - moment).total_seconds()))
    minutes = seconds / 60 if seconds < 60 else round(seconds / 60)
    return _time(moment, f"{duration(minutes) if minutes < 2 * 1440 else f'{minutes / 1440:.0f} d'} ago")


def printable(text: str | None) -> Markup:
    """Untrusted text, escaped, with unprintable characters replaced."""
    return escape(replace_unprintable(text or ""))


def outside(url: str | None) -> str:
    """An untrusted link if it leads to a website, else an empty text.

    >>> outside("https://example.org/x"), outside("javascript:alert(1)")
    ('https://example.org/x', '')
    """
    try:
        parts = urlsplit(url or "")
    except ValueError:
        return ""
    return (url or "") if parts.scheme in ("http", "https") and parts.netloc else ""


def incident_path(incident_id: str) -> str:
    """The path of an incident's page."""
    return f"/incidents/{quote(incident_id, safe='')}"


def _time(moment: datetime, text: str) -> Markup:
    # Both are our own digits and letters.
    return Markup(f'<time datetime="{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}">{text}</time>')  # noqa: S704


FILTERS: Mapping[str, Callable[..., Any]] = {
    filter_.__name__: filter_
    for filter_ in (when, ago, duration, ended_in, percent, printable, outside, incident_path, plural)
}
