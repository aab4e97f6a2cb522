"""Axis ticks: shares in percent, durations in their units, months and days."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_DURATIONS = (
    *((0.001, "1 ms"), (0.01, "10 ms"), (0.1, "0.1 s"), (1, "1 s"), (10, "10 s"), (60, "1 min"), (600, "10 min")),
    *((3_600, "1 h"), (6 * 3_600, "6 h"), (86_400, "1 d"), (7 * 86_400, "1 w"), (30 * 86_400, "30 d")),
    *((365 * 86_400, "1 y"), (3_650 * 86_400, "10 y"), (36_500 * 86_400, "100 y")),
)
"""Seconds that a logarithmic axis may be marked at, with their labels."""
SHORTEST = _DURATIONS[0][0]
_DAY_PIXELS = 80
_MONTH_PIXELS = 60
_DAYS = (1, 2, 7, 14)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120)


class Tick(NamedTuple):
    """A position on an axis and its label."""

    at: float
    text: str


def as_percent(axis: Axis, highest: float = 1.0) -> None:
    """Mark an axis of shares from 0 to `highest` in percent."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.25) if highest / step <= 5.01)
    marks = [step * n for n in range(round(highest / step) + 1)]
    axis.set_ticks(marks, [f"{mark:.0%}" for mark in marks])


def highest_share(shares: Sequence[float]) -> float:
    """The end of an axis for these shares: 5, 10, 20, 50 or 100%."""
    return next((end for end in (0.05, 0.1, 0.2, 0.5) if max(shares, default=1.0) <= end), 1.0)


def duration_ticks(seconds: Sequence[float], room: float) -> list[Tick]:
    """Ticks of a logarithmic axis of `room` pixels that encloses all durations."""
    shortest, longest = max(min(seconds), SHORTEST), max(*seconds, SHORTEST)
    first = max(place for place, (at, _) in enumerate(_DURATIONS) if at <= shortest or place == 0)
    last = next((place for place, (at, _) in enumerate(_DURATIONS) if at >= longest), len(_DURATIONS) - 1)
    last = min(max(last, first + 1), len(_DURATIONS) - 1)
    first = min(first, last - 1)
    marks = [Tick(*duration) for duration in _DURATIONS[first : last + 1]]
    pixels = room / math.log(marks[-1].at / marks[0].at)
    ticks = [marks[0]]
    for mark in marks[1:-1]:
        before = math.log(mark.at / ticks[-1].at) * pixels
        after = math.log(marks[-1].at / mark.at) * pixels
        if before >= _gap(mark, ticks[-1], len(ticks) == 1) and after >= _gap(mark, marks[-1], True):
            ticks.append(mark)
    return [*ticks, marks[-1]]


def _gap(tick: Tick, other: Tick, other_is_end: bool) -> float:
    """Pixels that keep two labels apart. A label at an end of the axis stands to one side of its tick."""
    return 3.5 * len(tick.text) + (7 if other_is_end else 3.5) * len(other.text) + 8


def as_durations(axes: Axes, ticks: Sequence[Tick], per_second: float = 1.0) -> None:
    """Make the horizontal axis logarithmic with these ticks. A second has `per_second` units of the data."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks([tick.at * per_second for tick in ticks], [tick.text for tick in ticks])
    axes.set_xlim(ticks[0].at * per_second, ticks[-1].at * per_second)


def month_ticks(months: Sequence[str], room: float) -> list[Tick]:
    """Ticks for consecutive months (`YYYY-MM`) on `room` pixels, at their positions in the sequence."""
    most = room / _MONTH_PIXELS
    step = next((step for step in _MONTHS if len(months) / step <= most), _MONTHS[-1])
    marked = [(place, month) for place, month in enumerate(months) if _number(month) % step == 0]
    return [Tick(place, month if step % 12 else month[:4]) for place, month in marked]


def day_ticks(first: date, last: date, room: float) -> list[Tick]:
    """Ticks on `room` pixels, at ordinals of days: at days, or where months or years begin."""
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    for step in _DAYS:
        if len(days) / step <= room / _DAY_PIXELS:
            return [Tick(day.toordinal(), f"{day}") for day in days[::step]]
    starts = [day for day in days if day.day == 1]
    marks = month_ticks([f"{day:%Y-%m}" for day in starts], room)
    return [Tick(starts[int(mark.at)].toordinal(), mark.text) for mark in marks]


def _number(month: str) -> int:
    """Months since year 0."""
    year, number = map(int, month.split("-"))
    return 12 * year + number - 1
