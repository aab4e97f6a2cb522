"""The study's plots, as inline SVG in the page's colours. Needs matplotlib (extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from markupsafe import Markup

from triage.evaluation.reports.drawings import DRAWN, MUTED, SIZE, drawn
from triage.study.distributions import Distribution
from triage.study.durations import Group
from triage.study.trends import Trend

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_INCHES = 0.3
_MOST = 20


def draw_shares(one: Distribution, names: Mapping[str, str], anchor: str, about: str) -> Markup:
    """Each label's share with its 95% interval, the most frequent at the top."""
    shares = [share for share in one.shares if share.share is not None and share.interval is not None][:_MOST]

    def draw(axes: Axes) -> None:
        places = range(len(shares))[::-1]
        for place, share in zip(places, shares, strict=True):
            low, high = share.interval or (0.0, 0.0)
            axes.plot([100 * low, 100 * high], [place, place], color=DRAWN, linewidth=4, alpha=0.45)
            axes.plot([100 * (share.share or 0.0)], [place], "o", color=DRAWN, markersize=5)
        axes.set_yticks(list(places), [_short(names[share.name]) for share in shares])
        axes.set(xlabel="% of the incidents that tell it", xlim=(0, 100), ylim=(-0.6, len(shares) - 0.4))

    told = "; ".join(f"{names[share.name]} {share.hits} of {share.n}" for share in shares)
    return drawn(draw, anchor, f"Shares: {about}", f"{told}.", _size(len(shares)))


def draw_medians(groups: Sequence[Group], names: Mapping[str, str], anchor: str, about: str) -> Markup:
    """Each group's median with its 95% interval, and the range from a quarter to three quarters, on a log scale."""
    from matplotlib.ticker import LogLocator, NullLocator

    known = [one for one in groups if one.quantiles is not None and one.quantiles.median is not None][:_MOST]

    def told_as(one: Group) -> str:
        return f"{_short(names.get(one.label, one.label))} ({len(one.ended)})"

    def draw(axes: Axes) -> None:
        places = range(len(known))[::-1]
        for place, one in zip(places, known, strict=True):
            q = one.quantiles
            if q is None or q.median is None:
                continue
            axes.plot([_log(q.p25), _log(q.p75 or q.median)], [place, place], color=MUTED, linewidth=1)
            low, high = q.interval
            axes.plot([_log(low), _log(high or q.median)], [place, place], color=DRAWN, linewidth=4, alpha=0.45)
            axes.plot([_log(q.median)], [place], "o", color=DRAWN, markersize=5)
        axes.set_yticks(list(places), [told_as(one) for one in known])
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set(xlabel="minutes, log scale", ylim=(-0.6, len(known) - 0.4))

    told = "; ".join(
        f"{names.get(one.label, one.label)} {one.quantiles.median:.0f} minutes, n = {len(one.ended)}"
        for one in known
        if one.quantiles and one.quantiles.median is not None
    )
    return drawn(draw, anchor, f"Medians: {about}", f"{told}.", _size(len(known)))


def draw_months(trend: Trend, anchor: str) -> Markup:
    """Incidents a month, and the levels between changes where there are any."""
    counts = [len(month.incident_ids) for month in trend.months]
    months = [month.month for month in trend.months]

    def draw(axes: Axes) -> None:
        axes.bar(range(len(counts)), counts, color=DRAWN, alpha=0.6)
        for level in trend.number.levels if trend.number and trend.number.changes else ():
            ends = [months.index(level.first) - 0.5, months.index(level.last) + 0.5]
            axes.plot(ends, [level.value or 0.0] * 2, color=MUTED, linewidth=2)
        every = max(1, -(-len(months) // 6))
        axes.set_xticks(range(0, len(months), every), months[::every])
        axes.set(ylabel="incidents a month", xlim=(-0.8, len(counts) - 0.2))

    told = f"From {months[0]} to {months[-1]}, {sum(counts)} incidents, at most {max(counts)} a month."
    return drawn(draw, anchor, "Incidents by month", told, (6.4, 2.6))


def _size(rows: int) -> tuple[float, float]:
    return SIZE[0] + 0.8, 0.8 + _ROW_INCHES * max(rows, 2)


def _short(name: str) -> str:
    return name if len(name) <= 26 else name[:25].rstrip() + "…"


def _log(minutes: float | None) -> float:
    return max(minutes or 0.0, 0.1)
