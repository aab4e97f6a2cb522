"""The study's charts, each beside a table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from triage.domain.taxonomy import Taxonomy
from triage.insights.study.distributions import Distribution
from triage.insights.study.durations import Group
from triage.insights.study.responses import DetectionSplit
from triage.insights.study.study import Study
from triage.insights.study.trends import Trend
from triage.render.charts import Chart, Level, Median, Month, Share, medians_chart, months_chart, shares_chart
from triage.render.tables import Table

_GAPS = 12


class Beside(NamedTuple):
    """A chart, and the id of the table that tells its figures."""

    table: str
    chart: Chart


def charts_of(study: Study, taxonomy: Taxonomy, tables: Sequence[Table]) -> list[Beside]:
    """The charts beside `tables` (those of this study), where a picture tells more."""
    titles = {table.id: table.title for table in tables}
    found = [
        *_comparison(study),
        *(beside for one in study.distributions for beside in _shares(one, taxonomy, titles)),
        *_gaps(study.detection, taxonomy),
        *_durations(study, taxonomy, titles),
        *(beside for one in study.trends for beside in _months(one, taxonomy)),
    ]
    return [beside for beside in found if beside.table in titles]


def _comparison(study: Study) -> Iterator[Beside]:
    """Each published share above one's own, where the two can be compared."""
    pairs = []
    for one in study.comparison:
        if one.difference is not None and one.own is not None and one.published_interval is not None:
            told = f"published, of {one.published.of}"
            pairs.append(Share(one.published.name, one.published.value, one.published_interval, told))
            pairs.append(Share("here", one.own, one.interval, f"of {one.n}"))
    if pairs:
        caption = "Each published share, and below it that of this corpus, with their 95% intervals."
        yield Beside(
            "comparison", shares_chart("comparison", "Published shares and those of this corpus", caption, pairs)
        )


def _shares(one: Distribution, taxonomy: Taxonomy, titles: Mapping[str, str]) -> Iterator[Beside]:
    key = f"{one.facet}-within-{one.within}" if one.within else one.facet
    if key not in titles or len(one.shares) < 2:
        return
    facet = taxonomy.facet(one.facet)
    shares = [
        Share(facet.label(share.name).name, share.share, share.interval, f"{share.hits} of {share.n}")
        for share in one.shares
        if share.share is not None
    ]
    caption = f"Share of each label (dot) with its 95% interval (band); n = {one.shares[0].n}."
    yield Beside(key, shares_chart(key, titles[key], caption, shares, "of the incidents that tell it"))


def _gaps(split: DetectionSplit | None, taxonomy: Taxonomy) -> Iterator[Beside]:
    """The labels of each facet by the share that customers had to report."""
    for name, together in itertools.groupby(split.gaps if split else (), key=lambda gap: gap.facet):
        gaps, facet = list(together), taxonomy.facet(name)
        shares = [
            Share(
                facet.label(gap.label).name,
                gap.reported.share or 0.0,
                gap.reported.interval,
                f"{gap.reported.hits} of {gap.reported.n}",
            )
            for gap in gaps[:_GAPS]
        ]
        if len(shares) > 1:
            title = f"Reported by customers, by {facet.name.lower()}"
            caption = "Share of the incidents with each label that customers reported, with its 95% interval."
            chart = shares_chart(f"gaps-{name}", title, caption, shares, "of those that tell how they were detected")
            yield Beside("detection-gaps", chart)


def _durations(study: Study, taxonomy: Taxonomy, titles: Mapping[str, str]) -> Iterator[Beside]:
    for measure in ("ttm", "ttd"):
        of_measure = [one for one in study.durations if one.measure == measure]
        for facet in taxonomy.facets:
            key = f"{measure}-{facet.id}"
            of_facet = [one for one in of_measure if one.facet in {None, facet.id}]
            medians = [median for one in of_facet if (median := _median(one, taxonomy))]
            if len(medians) > 2 and key in titles:
                caption = (
                    "Median (dot), its 95% interval (band) and the middle half (line); n counts those that ended. An "
                    "arrow leads to an end that is not known."
                )
                # The table's title names the unit, which the axis tells here.
                title = titles[key].replace(", in minutes", "")
                yield Beside(key, medians_chart(key, title, caption, medians))


def _median(one: Group, taxonomy: Taxonomy) -> Median | None:
    q = one.quantiles
    if q is None or q.median is None:
        return None
    name = taxonomy.facet(one.facet).label(one.label).name if one.facet else one.label
    return Median(name, 60 * q.median, _seconds(q.interval), _seconds((q.p25, q.p75)), f"n = {one.n_ended}")


def _seconds(minutes: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    start, end = (None if one is None else 60 * one for one in minutes)
    return start, end


def _months(trend: Trend, taxonomy: Taxonomy) -> Iterator[Beside]:
    """All incidents by month, and the labels whose number changed."""
    changes = trend.number.changes if trend.number else ()
    if len(trend.months) < 2 or not (changes or trend.facet is None):
        return
    title, id_ = "Incidents by month", "changes"
    if trend.facet is not None:
        title, id_ = (
            f"{taxonomy.facet(trend.facet).label(trend.what).name} by month",
            f"changes-{trend.facet}-{trend.what}",
        )
    levels = trend.number.levels if trend.number and changes else ()
    caption = f"Incidents by the month in which they began; n = {trend.n}. "
    caption += "Lines are the levels between changes." if changes else "No change was seen."
    drawn = [Level(level.first, level.last, level.value) for level in levels if level.value is not None]
    months = [Month(month.month, month.n) for month in trend.months]
    yield Beside("changes", months_chart(id_, title, caption, months, drawn, up="incidents"))
