"""Counts, durations and shares as texts for pages, charts, messages and the terminal."""

from __future__ import annotations

_HOUR = 60
_DAY = 24 * _HOUR


def duration(minutes: float | None) -> str:
    """Minutes in at most two suitable units; empty for None.

    >>> duration(0.004), duration(0.7), duration(1.5), duration(75), duration(3_000), duration(90_000), duration(None)
    ('240 ms', '42 s', '1.5 min', '1 h 15 min', '2 d 2 h', '62 d', '')
    """
    if minutes is None:
        return ""
    whole = round(minutes)
    if whole < _HOUR:
        return f"{_two_digits(minutes)} min" if minutes * 60 >= 59.5 else _below_a_minute(minutes * 60)
    if whole < _DAY:
        hours, left = divmod(whole, _HOUR)
        return f"{hours} h {left:02} min" if left else f"{hours} h"
    days, hours = divmod(round(minutes / _HOUR), 24)
    if hours and days < 10:
        return f"{days} d {hours} h"
    return f"{minutes / _DAY:,.0f} d"


def ended_in(minutes: float, until: str | None) -> str:
    """A time to mitigate, with the end that it was measured to.

    >>> ended_in(75, "mitigation"), ended_in(75, "resolution"), ended_in(75, None)
    ('mitigated in 1 h 15 min', 'resolved in 1 h 15 min', 'ended in 1 h 15 min')
    """
    verb = {"mitigation": "mitigated", "resolution": "resolved"}.get(until or "", "ended")
    return f"{verb} in {duration(minutes)}"


def percent(share: float | None) -> str:
    """A share or probability, never rounded to certainty; empty for None.

    >>> percent(0.874), percent(0.034), percent(0.9996), percent(0.0004), percent(1.0), percent(None)
    ('87%', '3.4%', '>99%', '<0.1%', '100%', '')
    """
    if share is None:
        return ""
    # Ignore floating-point errors near 0 and 1.
    share = round(share, 9)
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.995 <= share < 1:
        return ">99%"
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


def plural(n: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun.

    >>> plural(1, "incident"), plural(0, "incident"), plural(2, "category", "categories")
    ('1 incident', '0 incidents', '2 categories')
    """
    return f"{n:,} {singular if n == 1 else plural or singular + 's'}"


def _below_a_minute(seconds: float) -> str:
    return f"{seconds * 1_000:.0f} ms" if 0 < seconds < 0.9995 else f"{_two_digits(seconds)} s"


def _two_digits(number: float) -> str:
    return f"{number:.0f}" if number >= 9.95 else f"{number:.1f}".removesuffix(".0")
