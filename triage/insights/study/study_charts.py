"""The study's charts, each next to a table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from triage.domain.taxonomy import Taxonomy
from triage.insights.study.detection_and_mitigation import DetectionSplit
from triage.insights.study.distributions import Distribution
from triage.insights.study.durations import DurationGroup
from triage.insights.study.study import Study
from triage.insights.study.trends import Trend
from triage.render.charts import Chart, Level, Median, Month, Share, medians_chart, months_chart, shares_chart
from triage.render.tables import Table

_GAPS = 12


class TableChart(NamedTuple):
    """A chart, and the id of the table with its figures."""

    table: str
    chart: Chart


def charts_of(study: Study, taxonomy: Taxonomy, tables: Sequence[Table]) -> list[TableChart]:
    """The charts for `tables` of this study."""
    titles = {table.id: table.title for table in tables}
    charts = [
        *_comparison(study),
        *(chart for item in study.distributions for chart in _shares(item, taxonomy, titles)),
        *_gaps(study.detection, taxonomy),
        *_durations(study, taxonomy, titles),
        *(chart for item in study.trends for chart in _months(item, taxonomy)),
    ]
    return [chart for chart in charts if chart.table in titles]


def _comparison(study: Study) -> Iterator[TableChart]:
    """Each published share above the corpus's own, if they can be compared."""
    pairs = []
    for figure in study.comparison:
        if figure.difference is not None and figure.own is not None and figure.published_interval is not None:
            note = f"published, of {figure.published.of}"
            pairs.append(Share(figure.published.name, figure.published.value, figure.published_interval, note))
            pairs.append(Share("here", figure.own, figure.interval, f"of {figure.n}"))
    if pairs:
        caption = "Each published share, and below it that of this corpus, with their 95% intervals."
        yield TableChart(
            "comparison", shares_chart("comparison", "Published shares and those of this corpus", caption, pairs)
        )


def _shares(distribution: Distribution, taxonomy: Taxonomy, titles: Mapping[str, str]) -> Iterator[TableChart]:
    key = f"{distribution.facet}-within-{distribution.within}" if distribution.within else distribution.facet
    if key not in titles or len(distribution.shares) < 2:
        return
    facet = taxonomy.facet(distribution.facet)
    shares = [
        Share(facet.label(share.name).name, share.share, share.interval, f"{share.hits} of {share.n}")
        for share in distribution.shares
        if share.share is not None
    ]
    caption = f"Share of each label (dot) with its 95% interval (band); n = {distribution.shares[0].n}."
    yield TableChart(key, shares_chart(key, titles[key], caption, shares, "of the incidents that tell it"))


def _gaps(split: DetectionSplit | None, taxonomy: Taxonomy) -> Iterator[TableChart]:
    """The labels of each facet by the share that customers reported."""
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
            yield TableChart("detection-gaps", chart)


def _durations(study: Study, taxonomy: Taxonomy, titles: Mapping[str, str]) -> Iterator[TableChart]:
    for measure in ("ttm", "ttd"):
        of_measure = [group for group in study.durations if group.measure == measure]
        for facet in taxonomy.facets:
            key = f"{measure}-{facet.id}"
            of_facet = [group for group in of_measure if group.facet in {None, facet.id}]
            medians = [median for group in of_facet if (median := _median(group, taxonomy))]
            if len(medians) > 2 and key in titles:
                caption = (
                    "Median (dot), its 95% interval (band) and the middle half (line); n counts those that ended. An "
                    "arrow leads to an end that is not known."
                )
                # The axis shows the unit.
                title = titles[key].replace(", in minutes", "")
                yield TableChart(key, medians_chart(key, title, caption, medians))


def _median(group: DurationGroup, taxonomy: Taxonomy) -> Median | None:
    q = group.quantiles
    if q is None or q.median is None:
        return None
    name = taxonomy.facet(group.facet).label(group.label).name if group.facet else group.label
    return Median(name, 60 * q.median, _seconds(q.interval), _seconds((q.p25, q.p75)), f"n = {group.n_ended}")


def _seconds(minutes: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    start, end = (None if value is None else 60 * value for value in minutes)
    return start, end


def _months(trend: Trend, taxonomy: Taxonomy) -> Iterator[TableChart]:
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
    yield TableChart("changes", months_chart(id_, title, caption, months, drawn, up="incidents"))
