"""Shares with their intervals: how much of a whole each part is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from triage.charts.chart import Chart
from triage.charts.rows import MOST, Row, rows_chart
from triage.charts.scales import as_percent, highest_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Share(NamedTuple):
    """A part's share with its interval, 0 to 1; `told` says of what, as `47 of 122`."""

    name: str
    value: float
    interval: tuple[float, float] | None = None
    told: str = ""


def shares_chart(id_: str, title: str, caption: str, shares: Sequence[Share], across: str = "") -> Chart:
    """A dot for each share with its interval as a band, in the order given; `across` says what they are shares of."""
    highest = highest_share([max(one.value, one.interval[1] if one.interval else 0.0) for one in shares[:MOST]])

    def scale(axes: Axes, _: float) -> None:
        axes.set_xlim(0, highest)
        as_percent(axes.xaxis, highest)

    rows = [Row(one.name, _told(one), one.value, one.interval, _interval(one)) for one in shares]
    return rows_chart(id_, title, caption, rows, scale, across)


def _told(one: Share) -> str:
    share = f"{one.value:.0%}" if one.value >= 0.1 or one.value == 0 else f"{one.value:.1%}"
    return f"{share}, {one.told}" if one.told else share


def _interval(one: Share) -> str:
    return f" (interval {one.interval[0]:.1%} to {one.interval[1]:.1%})" if one.interval else ""
