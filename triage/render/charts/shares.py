"""Shares with their intervals: how much of a whole each part is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from triage.render.charts.chart import Chart
from triage.render.charts.rows import MOST, Row, rows_chart
from triage.render.charts.scales import as_percent, highest_share
from triage.render.quantities import percent

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
    return f"{percent(one.value)}, {one.told}" if one.told else percent(one.value)


def _interval(one: Share) -> str:
    return f" (interval {percent(one.interval[0])} to {percent(one.interval[1])})" if one.interval else ""
