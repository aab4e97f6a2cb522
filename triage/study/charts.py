"""The study's charts: each has the id of the table beside which it stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from triage.charts import Chart, Level, Median, Month, Share, medians_chart, months_chart, shares_chart
from triage.study.distributions import Distribution
from triage.study.durations import Group
from triage.study.study import Study
from triage.tables import Table
from triage.taxonomy import Facet, Taxonomy


def charts_of(study: Study, taxonomy: Taxonomy, tables: Sequence[Table]) -> list[Chart]:
    """A chart for each of `tables` (those of this study) that a picture tells more of."""
    titles = {table.id: table.title for table in tables}
    return [
        *(chart for one in study.distributions if (chart := _shares(one, taxonomy, titles))),
        *_durations(study, taxonomy, titles),
        *_months(study),
    ]


def _shares(one: Distribution, taxonomy: Taxonomy, titles: dict[str, str]) -> Chart | None:
    key = f"{one.facet}-within-{one.within}" if one.within else one.facet
    if key not in titles or len(one.shares) < 2:
        return None
    facet = taxonomy.facet(one.facet)
    shares = [
        Share(facet.label(share.name).name, share.share, share.interval, f"{share.hits} of {share.n}")
        for share in one.shares
        if share.share is not None
    ]
    caption = f"Share of each label (dot) with its 95% interval (band); n = {one.shares[0].n}."
    return shares_chart(key, titles[key], caption, shares, "of the incidents that tell it")


def _durations(study: Study, taxonomy: Taxonomy, titles: dict[str, str]) -> Iterator[Chart]:
    first = taxonomy.facets[0]
    for measure in ("ttm", "ttd"):
        of_first = [one for one in study.durations if one.measure == measure and one.facet in {None, first.id}]
        medians = [median for one in of_first if (median := _median(one, first))]
        if len(medians) > 1 and measure in titles:
            caption = (
                f"Median (dot), its 95% interval (band) and the middle half (line), by {first.name.lower()}; n counts "
                "those that ended. An arrow leads to an end that is not known."
            )
            # The table's title ends in the unit, which the axis tells here.
            yield medians_chart(measure, titles[measure].removesuffix(", in minutes"), caption, medians)


def _median(one: Group, facet: Facet) -> Median | None:
    q = one.quantiles
    if q is None or q.median is None:
        return None
    name = facet.label(one.label).name if one.facet else one.label
    return Median(name, 60 * q.median, _seconds(q.interval), _seconds((q.p25, q.p75)), f"n = {len(one.ended)}")


def _seconds(minutes: tuple[float | None, float | None]) -> tuple[float | None, float | None]:
    start, end = (None if one is None else 60 * one for one in minutes)
    return start, end


def _months(study: Study) -> Iterator[Chart]:
    if not study.trends or len(study.trends[0].months) < 2:
        return
    trend = study.trends[0]
    months = [Month(month.month, len(month.incident_ids)) for month in trend.months]
    caption = f"Incidents by the month in which they began; n = {sum(month.n for month in months)}. "
    if trend.change is None:
        yield months_chart("changes", "Incidents by month", f"{caption}No change was seen.", months, up="incidents")
        return
    change = trend.change
    before = months[next(n for n, month in enumerate(months) if month.month == change.month) - 1].month
    levels = [Level(months[0].month, before, change.before), Level(change.month, months[-1].month, change.after)]
    caption += (
        f"Lines are the levels, {change.before:.3g} a month before {change.month} and {change.after:.3g} from then."
    )
    yield months_chart("changes", "Incidents by month", caption, months, levels, up="incidents")
