"""Durations and shares as people read them, on pages, in charts, messages and the terminal alike."""

from __future__ import annotations

_HOUR = 60
_DAY = 24 * _HOUR


def duration(minutes: float | None) -> str:
    """Minutes in the units that people use, two of them at most; empty where they are not known.

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


def percent(share: float | None) -> str:
    """A share or a probability; what is not certain is never written as certain. Empty where it is not known.

    >>> percent(0.874), percent(0.034), percent(0.9996), percent(0.0004), percent(1.0), percent(None)
    ('87%', '3.4%', '>99%', '<0.1%', '100%', '')
    """
    if share is None:
        return ""
    # What arithmetic leaves of 0 or 1 is no doubt.
    share = round(share, 9)
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.995 < share < 1:
        return ">99%"
    return f"{share:.1%}" if 0 < share < 0.0995 else f"{share:.0%}"


def _below_a_minute(seconds: float) -> str:
    return f"{seconds * 1_000:.0f} ms" if 0 < seconds < 0.9995 else f"{_two_digits(seconds)} s"


def _two_digits(number: float) -> str:
    return f"{number:.0f}" if number >= 9.95 else f"{number:.1f}".removesuffix(".0")
