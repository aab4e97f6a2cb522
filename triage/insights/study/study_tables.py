"""The study as tables, for the terminal, the page and CSV files, with the incidents behind each row."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

from triage.agreement import Interval
from triage.domain.taxonomy import Taxonomy
from triage.insights.study.change_points import FEWEST, SHORTEST
from triage.insights.study.checklist import checklist_table
from triage.insights.study.comparison import ComparedFigure
from triage.insights.study.detection_and_mitigation import DetectionSplit, MitigationStudy, SavedTime
from triage.insights.study.distributions import Distribution, Share
from triage.insights.study.durations import SMALL, DurationGroup
from triage.insights.study.repeats import RUN, SHARED
from triage.insights.study.study import Study
from triage.insights.study.trends import LEVEL, Course, Trend
from triage.render.tables import Cell, Column, Kind, Row, Table, columns_of, format_cell

_SHARES = "of:count | share:share | 95% from:share | to:share"
"""The columns of `_share_cells` after the hits."""
_SHOWN_EMPTY = {"repeats", "agreement"}
"""Tables that are shown even if they are empty."""
_HOW_FAR = (
    "Cohen's kappa of each two, or alpha of the label sets where there are many; of several people the mean over their "
    "pairs. `gold` are people's gold labels, held against models. `triage agreement` tells more."
)
_KINDS = "What kinds of incidents"
_DETECTION = "How they were detected"
_MITIGATION = "How they were ended"
_LIKELY = 0.05


def tables_of(study: Study, taxonomy: Taxonomy) -> list[Table]:
    """All tables with content, in the order of the study."""
    sections = {
        study.mitigation.facet if study.mitigation else None: _MITIGATION,
        study.detection.facet if study.detection else None: _DETECTION,
    }
    by_section: dict[str, list[Table]] = {_KINDS: [], _DETECTION: [], _MITIGATION: []}
    for distribution in study.distributions:
        section = sections.get(distribution.facet, _KINDS)
        by_section[section].append(_distribution(distribution, taxonomy, section))
    tables = [
        *_comparison(study),
        *by_section[_KINDS],
        *by_section[_DETECTION],
        *_detection(study.detection, taxonomy),
        *by_section[_MITIGATION],
        *_mitigation(study.mitigation),
        *_durations(study, taxonomy),
        *_trends(study, taxonomy),
        _repeats(study, taxonomy),
        _agreement(study, taxonomy),
        _missing(study),
        *((checklist_table(study.checklist),) if study.checklist else ()),
    ]
    return [table for table in tables if table.rows or table.id in _SHOWN_EMPTY]


def _share_row(share: Share, name: str) -> Row:
    return Row((name, share.hits, *_share_cells(share)), share.incident_ids)


def _share_cells(share: Share) -> tuple[Cell, ...]:
    return share.n, share.share, *(share.interval or (None, None))


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval else (None, None)


def _comparison(study: Study) -> Iterator[Table]:
    population = f"{study.n} incidents here, labels {study.origin}; published: {study.publication.population}."
    shares = [figure for figure in study.comparison if figure.published.measure != "kappa"]
    yield Table(
        "comparison",
        "Published shares and those of this corpus",
        f"{population} The two are other populations, so a difference need not be one of practice. A difference is "
        "told where its 95% interval (Newcombe) leaves out 0; that of the published share is reckoned from its number "
        "of incidents.",
        _compared_columns("share"),
        tuple(Row(_comparison_cells(figure), figure.incident_ids) for figure in shares),
        "Beside the published study",
    )
    kappas = [figure for figure in study.comparison if figure.published.measure == "kappa"]
    yield Table(
        "comparison-agreement",
        "Published agreement of the labels and that of this corpus",
        f"Cohen's kappa of people with each other. {population}",
        _compared_columns("number"),
        tuple(Row(_comparison_cells(figure)) for figure in kappas),
        "Beside the published study",
    )


def _compared_columns(kind: Kind) -> tuple[Column, ...]:
    return columns_of(
        f"figure | published:{kind} | here:{kind} | 95% from:{kind} | to:{kind} | of:count | reading"
        " | source of the published one"
    )


def _comparison_cells(figure: ComparedFigure) -> tuple[Cell, ...]:
    reading = "no difference seen"
    if figure.why_not is not None:
        reading = f"can't be compared: {figure.why_not}"
    elif figure.differs and figure.own is not None:
        reading = "higher than published" if figure.own > figure.published.value else "lower than published"
    read = "read first-hand" if figure.published.read == "first_hand" else "second-hand"
    source = f"{read}: {figure.published.source}" + (f"; {figure.published.remark}" if figure.published.remark else "")
    figures = (figure.published.value, figure.own, *(figure.interval or (None, None)), figure.n)
    return figure.published.name, *figures, reading, source


def _distribution(distribution: Distribution, taxonomy: Taxonomy, section: str) -> Table:
    facet = taxonomy.facet(distribution.facet)
    disclosed = distribution.n - (distribution.silent.hits if distribution.silent else 0)
    caption = f"Shares of the {disclosed} incident(s) that tell it"
    if distribution.silent and distribution.silent.hits:
        caption += f"; {distribution.silent.hits} of {distribution.n} don't"
    caption += ". Of several labels the primary one counts." if facet.cardinality == "primary_first" else "."
    caption += (
        " Each interval alone holds with 95%."
        if distribution.is_exclusive
        else " An incident counts for each of its labels, so shares may add up to more than 100%."
    )
    if distribution.n_unlabelled:
        caption += f" {distribution.n_unlabelled} incident(s) are not labelled with it."
    if distribution.never:
        caption += f" Never given: {', '.join(facet.label(label).name for label in distribution.never)}."
    title, key = distribution.name, distribution.facet
    if distribution.within is not None and facet.parent is not None:
        title = f"{distribution.name} within {taxonomy.facet(facet.parent).label(distribution.within).name}"
        key = f"{distribution.facet}-within-{distribution.within}"
    columns = (Column(distribution.name), *columns_of(f"incidents:count | {_SHARES}"))
    rows = [_share_row(share, facet.label(share.name).name) for share in distribution.shares]
    if distribution.is_exclusive:
        columns += columns_of("all at once from:share | all at once to:share")
        rows = [
            row._replace(cells=(*row.cells, *(share.simultaneous or (None, None))))
            for row, share in zip(rows, distribution.shares, strict=True)
        ]
    return Table(key, title, caption, columns, tuple(rows), section)


def _repeats(study: Study, taxonomy: Taxonomy) -> Table:
    repeats = study.repeats
    rows = []
    for group in repeats.groups:
        labels = ", ".join(taxonomy.facet(facet).label(label).name for facet, label in group.labels.items())
        cells = (group.title or group.head, group.n, group.first, group.last, labels, group.lowest_similarity)
        rows.append(Row(cells, group.incident_ids))
    how = f"{SHARED:.0%} of each one's runs of {RUN} words, the rare ones counting more, stand in the other"
    if repeats.similarity is not None:
        how += f", or their embeddings' cosine is at least {repeats.similarity:g}"
        if repeats.n_compared_by_meaning < repeats.n:
            how += f" ({repeats.n_compared_by_meaning} of them have an embedding)"
    else:
        how += "; what they mean was not compared"
    return Table(
        "repeats",
        "Groups of incidents that are nearly the same",
        f"{repeats.n_groups} group(s) with {repeats.n_repeated} of {repeats.n} incidents. Two are nearly the same "
        f"where {how}. All of a group are nearly the same as its head.",
        columns_of("head | incidents:count | first | last | most carry | least alike:number"),
        tuple(rows),
        "Repeat offenders",
    )


def _agreement(study: Study, taxonomy: Taxonomy) -> Table:
    rows = []
    for facet in study.labelling:
        name, mean = taxonomy.facet(facet.facet).name, facet.people
        people = f"all {facet.n_people} people" if facet.n_people > 1 else f"{facet.n_people} person"
        if facet.n_people != 2 or mean.value is None:
            rows.append(Row((name, people, mean.n, mean.value, *_ends(mean.interval), mean.undefined or "")))
        for pair in facet.pairs:
            both = f"{pair.first} and {pair.second}"
            rows.append(Row((name, both, pair.n, pair.value, *_ends(pair.interval), pair.undefined or "")))
    return Table(
        "agreement",
        "How far the annotators agree",
        f"The labels studied are {study.origin}. " + (_HOW_FAR if rows else "They come without their annotators."),
        columns_of("facet | who | incidents:count | agreement:number | 95% from:number | to:number | why not"),
        tuple(rows),
        "Agreement of the labels",
    )


def _missing(study: Study) -> Table:
    return Table(
        "missing",
        "What this corpus can't tell",
        "Figures that are not told, or are told of a part of the incidents, and how to have them.",
        columns_of("figure | why | how to give it"),
        tuple(Row((figure.figure, figure.why, figure.how)) for figure in study.missing),
        "What is missing",
    )


def _detection(split: DetectionSplit | None, taxonomy: Taxonomy) -> Iterator[Table]:
    if split is None:
        return
    shares = [share for share in (split.automated, split.reported) if share]
    disclosed = split.silent.n - split.silent.hits
    yield Table(
        "detection-split",
        "Detected by machines and by customers",
        f"Shares of the {disclosed} incident(s) that tell it; {split.silent.hits} of {split.silent.n} don't.",
        columns_of(f"detected | incidents:count | {_SHARES}"),
        tuple(_share_row(share, share.name) for share in (*shares, split.silent) if share.n),
        _DETECTION,
    )
    reported = split.reported.hits if split.reported else 0
    rows = []
    for gap in split.gaps:
        facet = taxonomy.facet(gap.facet)
        verdict = ""
        if gap.p <= _LIKELY:
            more = (gap.reported.share or 0) > (gap.elsewhere.share or 0)
            verdict = f"{'more' if more else 'less'} than others"
        cells = (facet.name, facet.label(gap.label).name, gap.reported.hits, *_share_cells(gap.reported))
        rows.append(Row((*cells, gap.elsewhere.share, verdict), gap.reported.incident_ids))
    yield Table(
        "detection-gaps",
        "Detection gaps: what customers had to report",
        f"How many of the incidents with each label customers reported, of those that tell how they were detected; "
        f"{reported} in all. A label is said to be reported more or less than others where Fisher's exact test says so "
        "at 5%, corrected for the number of labels.",
        columns_of(f"facet | label | reported:count | {_SHARES} | of the others:share | reading"),
        tuple(rows),
        _DETECTION,
    )


def _mitigation(study: MitigationStudy | None) -> Iterator[Table]:
    if study is None:
        return
    shares = [share for share in (study.hotfix, study.automatable, study.partly) if share]
    disclosed = study.silent.n - study.silent.hits
    if shares:
        yield Table(
            "mitigation-shares",
            "Hotfixes, and what automation could have done",
            f"Shares of the {disclosed} incident(s) whose write-up tells what ended them; {study.silent.hits} of "
            f"{study.silent.n} don't. Whether an action that automation could take would have been taken rightly is "
            "not known.",
            columns_of(f"ended | incidents:count | {_SHARES}"),
            tuple(_share_row(share, share.name) for share in (*shares, study.silent) if share.n),
            _MITIGATION,
        )
    if study.saved is not None and study.saved.saved_minutes is not None:
        yield _saved(study.saved, study.saved.saved_minutes)


def _saved(saved: SavedTime, minutes: float) -> Table:
    of_all = minutes / saved.all_minutes if saved.all_minutes else None
    each = minutes / saved.n if saved.n else None
    figures = (saved.n, saved.minutes, saved.total_minutes, minutes, *(saved.interval or (None, None)), each, of_all)
    return Table(
        "saved-time",
        "Time that automation would have saved",
        f"{saved.n} incident(s) ended by such actions alone whose times are known, of {saved.n_all} incidents with "
        "known times. Supposed: those that took longer than the supposed time would have ended by then. The supposed "
        f"time is {saved.minutes_from}. An assumption, no measurement; the interval (bootstrap) tells of the chance in "
        "which incidents there were, not of how good the assumption is.",
        columns_of(
            "incidents:count | supposed minutes:minutes | minutes taken:minutes | minutes saved:minutes"
            " | 95% from:minutes | to:minutes | each:minutes | of all minutes:share"
        ),
        (Row(figures, saved.incident_ids),),
        _MITIGATION,
    )


def _durations(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    for measure, title in (("ttm", "Time to mitigate, in minutes"), ("ttd", "Time to detect, in minutes")):
        of_measure = [group for group in study.durations if group.measure == measure]
        everyone = next(group for group in of_measure if group.facet is None)
        if not everyone.n_ended and not everyone.n_open:
            continue
        yield _duration_table(measure, title, _about(study, everyone), "group", [everyone], ["all incidents"])
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
            yield _duration_table(key, f"{title}, by {name.lower()}", caption, name, shown, names)


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


def _duration_table(
    key: str, title: str, caption: str, heading: str, groups: Sequence[DurationGroup], names: Sequence[str]
) -> Table:
    is_open = any(group.n_open for group in groups)
    columns = columns_of(
        f"incidents:count | ended:count{' | open:count' if is_open else ''} | unknown:count | 25%:minutes"
        " | median:minutes | 95% from:minutes | to:minutes | 75%:minutes | 90%:minutes"
    )
    rows = [_duration(group, name, with_open=is_open) for group, name in zip(groups, names, strict=True)]
    return Table(key, title, caption, (Column(heading), *columns), tuple(rows), "How long they took")


def _duration(group: DurationGroup, name: str, *, with_open: bool) -> Row:
    counts = (group.n, group.n_ended, *((group.n_open,) if with_open else ()), group.n_unknown)
    if group.quantiles is None:
        return Row((name, *counts, None, "too few", None, None, None, None), group.ended + group.open)
    q = group.quantiles
    low, high = q.interval
    unbounded = "unbounded" if q.median is not None and high is None else high
    return Row((name, *counts, q.p25, q.median, low, unbounded, q.p75, q.p90), group.ended + group.open)


def _trends(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
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
    columns = columns_of(
        "series | incidents:count | reading | from | between | before:number | after:number | p corrected:number"
    )
    yield Table("changes", "Changes of level", caption, columns, tuple(rows), "How it changed")
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
        "How it changed",
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
            reading = "rose" if (change.after or 0) > (change.before or 0) else "fell"
            levels = (format_cell(change.before, kind), format_cell(change.after, kind))
            between = f"{change.earliest} to {change.latest}"
            yield Row((series, trend.n, reading, change.month, between, *levels, course.adjusted), ids)
