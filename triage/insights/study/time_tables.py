"""Tables of durations and of trends."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from triage.domain.taxonomy import Taxonomy
from triage.insights.study.change_points import FEWEST, SHORTEST
from triage.insights.study.durations import SMALL, DurationGroup
from triage.insights.study.study import Study
from triage.insights.study.trends import LEVEL, Course, Trend
from triage.render.tables import Cell, Column, Kind, Row, Table, format_cell

DURATIONS = "How long they took"
TRENDS = "How it changed"


def duration_tables(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    """Time to mitigate and to detect: of all incidents, by the labels of each facet, and by severity."""
    for measure, title in (("ttm", "Time to mitigate, in minutes"), ("ttd", "Time to detect, in minutes")):
        of_measure = [group for group in study.durations if group.measure == measure]
        everyone = next(group for group in of_measure if group.facet is None)
        if not everyone.n_ended and not everyone.n_open:
            continue
        yield _durations(measure, title, _about(study, everyone), "group", [everyone], ["all incidents"])
        for facet, together in itertools.groupby(of_measure, key=lambda group: group.facet):
            groups = list(together)
            shown = [group for group in groups if group.quantiles is not None]
            if facet is None or not shown:
                continue
            known = next((group for group in taxonomy.facets if group.id == facet), None)
            name = known.name if known else facet.capitalize()
            names = [known.label(group.label).name if known else group.label for group in shown]
            caption = f"{len(shown)} of {len(groups)} labels; the others have fewer than {SMALL} that ended."
            if len(shown) == len(groups):
                caption = "All labels that were given."
            key = f"{measure}-{re.sub(r'[^a-z0-9_]+', '-', facet)}"
            yield _durations(key, f"{title}, by {name.lower()}", caption, name, shown, names)


def _about(study: Study, everyone: DurationGroup) -> str:
    text = (
        f"{everyone.n_ended + everyone.n_open} of {everyone.n} incidents tell it. Kaplan-Meier quantiles; nothing is "
        f"told of fewer than {SMALL} that ended. "
    )
    if everyone.n_to_resolution:
        text += f"{everyone.n_to_resolution} times run to the resolution, since no mitigation is known. "
    if everyone.n_open:
        until = study.observed_until
        shown = f"{until:%Y-%m-%d %H:%M} UTC" if until else "they were detected"
        text += f"The {everyone.n_open} open ones are known to have gone on until {shown}. "
    if everyone.n_unknown:
        text += f"The {everyone.n_unknown} unknown count for nothing, as if they were like the others. "
    return f"{text}Blank: not reached by those that are known." if everyone.n_open else text.strip()


def _durations(
    key: str, title: str, caption: str, heading: str, groups: Sequence[DurationGroup], names: Sequence[str]
) -> Table:
    is_open = any(group.n_open for group in groups)
    columns = [Column(heading), Column("incidents", "count"), Column("ended", "count")]
    columns += [Column("open", "count")] if is_open else []
    columns += [Column("unknown", "count")]
    columns += [Column(name, "minutes") for name in ("25%", "median", "95% from", "to", "75%", "90%")]
    rows = [_duration(group, name, with_open=is_open) for group, name in zip(groups, names, strict=True)]
    return Table(key, title, caption, tuple(columns), tuple(rows), DURATIONS)


def _duration(group: DurationGroup, name: str, *, with_open: bool) -> Row:
    counts = (
        (group.n, group.n_ended, group.n_open, group.n_unknown)
        if with_open
        else (group.n, group.n_ended, group.n_unknown)
    )
    if group.quantiles is None:
        return Row((name, *counts, None, "too few", None, None, None, None), group.ended + group.open)
    q = group.quantiles
    low, high = q.interval
    unbounded = "unbounded" if q.median is not None and high is None else high
    return Row((name, *counts, q.p25, q.median, low, unbounded, q.p75, q.p90), group.ended + group.open)


def trend_tables(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    """Changes of level, and the incidents of each month."""
    if not study.trends:
        return
    rows = [row for trend in study.trends for row in _courses(trend, taxonomy)]
    tested = sum(course is not None for trend in study.trends for course in (trend.number, trend.share))
    few = sum(trend.number is None for trend in study.trends)
    caption = (
        f"Changes of level from {study.first} to {study.last}: numbers are incidents a month, shares those of the "
        f"incidents that tell of the facet. Likelihood of steps between months at least {SHORTEST} apart, against the "
        f"months in random order; of {tested} series together one in which nothing changes is said to change with "
        f"{LEVEL:.0%} at most (p times {tested}). 'Between' has 95% of the likelihood of that month. The first "
        "and the last month may be incomplete."
    )
    if few:
        caption += f" {few} series with fewer than {FEWEST} incidents were not looked at."
    columns = [Column("series"), Column("incidents", "count"), Column("reading"), Column("from"), Column("between")]
    columns += [Column(name, "number") for name in ("before", "after", "p corrected")]
    yield Table("changes", "Changes of level", caption, tuple(columns), tuple(rows), TRENDS)
    everyone = study.trends[0]
    labels = [trend for trend in study.trends if trend.facet and taxonomy.facet(trend.facet).parent is None]
    monthly = [
        Row((month.month, month.n, *(trend.months[place].n for trend in labels)), month.incident_ids)
        for place, month in enumerate(everyone.months)
    ]
    names = [taxonomy.facet(trend.facet).label(trend.what).name for trend in labels if trend.facet]
    yield Table(
        "months",
        "Incidents by month",
        f"The {everyone.n} incidents with a known start, by the month (UTC) in which they began.",
        (Column("month"), Column("all", "count"), *(Column(name, "count") for name in names)),
        tuple(monthly),
        TRENDS,
    )


def _courses(trend: Trend, taxonomy: Taxonomy) -> Iterator[Row]:
    name = trend.what if trend.facet is None else taxonomy.facet(trend.facet).label(trend.what).name
    kinds: tuple[tuple[Course | None, str, Kind], ...] = (
        (trend.number, f"number of {name}" if trend.facet else name, "number"),
        (trend.share, f"share of {name}", "share"),
    )
    ids = tuple(key for month in trend.months for key in month.incident_ids)
    for course, series, kind in kinds:
        if course is None:
            continue
        if not course.changes:
            level = format_cell(course.levels[0].value, kind)
            yield Row((series, trend.n, "no change seen", None, None, level, None, course.adjusted), ids)
        for change in course.changes:
            cells: tuple[Cell, ...] = (
                "rose" if (change.after or 0) > (change.before or 0) else "fell",
                change.month,
                f"{change.earliest} to {change.latest}",
                format_cell(change.before, kind),
                format_cell(change.after, kind),
            )
            yield Row((series, trend.n, *cells, course.adjusted), ids)
