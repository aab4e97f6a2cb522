"""The study as tables, for the terminal, the page and CSV files, with the incidents behind each row."""

from __future__ import annotations

from collections.abc import Iterator

from triage.domain.taxonomy import Taxonomy
from triage.insights.study.checklist import checklist_table
from triage.insights.study.comparison import ComparedFigure
from triage.insights.study.detection_and_mitigation import DetectionSplit, MitigationStudy, SavedTime
from triage.insights.study.distributions import Distribution, Share
from triage.insights.study.repeats import RUN, SHARED
from triage.insights.study.study import Study
from triage.insights.study.time_tables import duration_tables, trend_tables
from triage.render.tables import Cell, Column, Row, Table

SHARES = (
    Column("incidents", "count"),
    Column("of", "count"),
    Column("share", "share"),
    Column("95% from", "share"),
    Column("to", "share"),
)


def share_row(share: Share, name: str | None = None) -> Row:
    """The share under its name and `SHARES`."""
    low, high = share.interval or (None, None)
    return Row((name or share.name, share.hits, share.n, share.share, low, high), share.incident_ids)


_SHOWN_EMPTY = {"repeats", "agreement"}
"""Tables that are shown even if they are empty."""
_TOGETHER = (Column("all at once from", "share"), Column("all at once to", "share"))
_HOW_FAR = (
    "Cohen's kappa of each two, or alpha of the label sets where there are many; of several people the mean over their "
    "pairs. `gold` are people's gold labels, held against models. `triage agreement` tells more."
)
_COMPARISON = "Beside the published study"


def tables_of(study: Study, taxonomy: Taxonomy) -> list[Table]:
    """All tables with content, in the order of the study."""
    detection = study.detection.facet if study.detection else None
    mitigation = study.mitigation.facet if study.mitigation else None
    kinds, detected, ended = list[Table](), list[Table](), list[Table]()
    for distribution in study.distributions:
        if distribution.facet == detection:
            detected.append(_distribution(distribution, taxonomy, DETECTION))
        elif distribution.facet == mitigation:
            ended.append(_distribution(distribution, taxonomy, MITIGATION))
        else:
            kinds.append(_distribution(distribution, taxonomy, "What kinds of incidents"))
    found = [
        *_comparison(study),
        *kinds,
        *detected,
        *detection_tables(study.detection, taxonomy),
        *ended,
        *mitigation_tables(study.mitigation),
        *duration_tables(study, taxonomy),
        *trend_tables(study, taxonomy),
        *_repeats(study, taxonomy),
        *_agreement(study, taxonomy),
        *_missing(study),
        *((checklist_table(study.checklist),) if study.checklist else ()),
    ]
    return [table for table in found if table.rows or table.id in _SHOWN_EMPTY]


def _comparison(study: Study) -> Iterator[Table]:
    population = f"{study.n} incidents here, labels {study.origin}; published: {study.publication.population}."
    of = [Column("of", "count"), Column("reading"), Column("source of the published one")]
    shares = [figure for figure in study.comparison if figure.published.measure != "kappa"]
    yield Table(
        "comparison",
        "Published shares and those of this corpus",
        f"{population} The two are other populations, so a difference need not be one of practice. A difference is "
        "told where its 95% interval (Newcombe) leaves out 0; that of the published share is reckoned from its number "
        "of incidents.",
        (
            Column("figure"),
            Column("published", "share"),
            Column("here", "share"),
            Column("95% from", "share"),
            Column("to", "share"),
            *of,
        ),
        tuple(Row(_comparison_cells(figure), figure.incident_ids) for figure in shares),
        _COMPARISON,
    )
    kappas = [figure for figure in study.comparison if figure.published.measure == "kappa"]
    yield Table(
        "comparison-agreement",
        "Published agreement of the labels and that of this corpus",
        f"Cohen's kappa of people with each other. {population}",
        (
            Column("figure"),
            Column("published", "number"),
            Column("here", "number"),
            Column("95% from", "number"),
            Column("to", "number"),
            *of,
        ),
        tuple(Row(_comparison_cells(figure)) for figure in kappas),
        _COMPARISON,
    )


def _comparison_cells(figure: ComparedFigure) -> tuple[Cell, ...]:
    low, high = figure.interval or (None, None)
    reading = "no difference seen"
    if figure.why_not is not None:
        reading = f"can't be compared: {figure.why_not}"
    elif figure.differs and figure.own is not None:
        reading = "higher than published" if figure.own > figure.published.value else "lower than published"
    read = "read first-hand" if figure.published.read == "first_hand" else "second-hand"
    source = f"{read}: {figure.published.source}" + (f"; {figure.published.remark}" if figure.published.remark else "")
    return (figure.published.name, figure.published.value, figure.own, low, high, figure.n, reading, source)


def _distribution(distribution: Distribution, taxonomy: Taxonomy, section: str) -> Table:
    facet = taxonomy.facet(distribution.facet)
    rows = []
    for share in distribution.shares:
        row = share_row(share, facet.label(share.name).name)
        rows.append(row._replace(cells=(*row.cells, *(share.simultaneous or (None, None)))))
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
    columns = (Column(distribution.name), *SHARES, *(_TOGETHER if distribution.is_exclusive else ()))
    cells = tuple(row._replace(cells=row.cells[: len(columns)]) for row in rows)
    return Table(key, title, caption, columns, cells, section)


def _repeats(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    repeats = study.repeats
    rows = [
        Row(
            (
                group.title or group.head,
                group.n,
                group.first,
                group.last,
                ", ".join(taxonomy.facet(facet).label(label).name for facet, label in group.labels.items()),
                group.lowest_similarity,
            ),
            group.incident_ids,
        )
        for group in repeats.groups
    ]
    how = f"{SHARED:.0%} of each one's runs of {RUN} words, the rare ones counting more, stand in the other"
    if repeats.similarity is not None:
        how += f", or their embeddings' cosine is at least {repeats.similarity:g}"
        if repeats.n_compared_by_meaning < repeats.n:
            how += f" ({repeats.n_compared_by_meaning} of them have an embedding)"
    else:
        how += "; what they mean was not compared"
    yield Table(
        "repeats",
        "Groups of incidents that are nearly the same",
        f"{repeats.n_groups} group(s) with {repeats.n_repeated} of {repeats.n} incidents. Two are nearly the same "
        f"where {how}. All of a group are nearly the same as its head.",
        (
            Column("head"),
            Column("incidents", "count"),
            Column("first"),
            Column("last"),
            Column("most carry"),
            Column("least alike", "number"),
        ),
        tuple(rows),
        "Repeat offenders",
    )


def _agreement(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    rows = []
    for facet in study.labelling:
        name, mean = taxonomy.facet(facet.facet).name, facet.people
        low, high = (mean.interval.low, mean.interval.high) if mean.interval else (None, None)
        who = f"all {facet.n_people} people" if facet.n_people > 1 else f"{facet.n_people} person"
        if facet.n_people != 2 or mean.value is None:
            rows.append(Row((name, who, mean.n, mean.value, low, high, mean.undefined or "")))
        for pair in facet.pairs:
            low, high = (pair.interval.low, pair.interval.high) if pair.interval else (None, None)
            both = f"{pair.first} and {pair.second}"
            rows.append(Row((name, both, pair.n, pair.value, low, high, pair.undefined or "")))
    yield Table(
        "agreement",
        "How far the annotators agree",
        f"The labels studied are {study.origin}. " + (_HOW_FAR if rows else "They come without their annotators."),
        (
            Column("facet"),
            Column("who"),
            Column("incidents", "count"),
            Column("agreement", "number"),
            Column("95% from", "number"),
            Column("to", "number"),
            Column("why not"),
        ),
        tuple(rows),
        "Agreement of the labels",
    )


def _missing(study: Study) -> Iterator[Table]:
    yield Table(
        "missing",
        "What this corpus can't tell",
        "Figures that are not told, or are told of a part of the incidents, and how to have them.",
        (Column("figure"), Column("why"), Column("how to give it")),
        tuple(Row((figure.figure, figure.why, figure.how)) for figure in study.missing),
        "What is missing",
    )


DETECTION = "How they were detected"
MITIGATION = "How they were ended"
_LIKELY = 0.05


def detection_tables(split: DetectionSplit | None, taxonomy: Taxonomy) -> Iterator[Table]:
    """The detection split, and what customers reported."""
    if split is None:
        return
    shares = [share for share in (split.automated, split.reported) if share]
    disclosed = split.silent.n - split.silent.hits
    yield Table(
        "detection-split",
        "Detected by machines and by customers",
        f"Shares of the {disclosed} incident(s) that tell it; {split.silent.hits} of {split.silent.n} don't.",
        (Column("detected"), *SHARES),
        tuple(share_row(share) for share in (*shares, split.silent) if share.n),
        DETECTION,
    )
    reported = split.reported.hits if split.reported else 0
    rows = []
    for gap in split.gaps:
        facet = taxonomy.facet(gap.facet)
        cells = share_row(gap.reported, facet.label(gap.label).name).cells
        verdict = ""
        if gap.p <= _LIKELY:
            more = (gap.reported.share or 0) > (gap.elsewhere.share or 0)
            verdict = f"{'more' if more else 'less'} than others"
        rows.append(Row((facet.name, *cells, gap.elsewhere.share, verdict), gap.reported.incident_ids))
    yield Table(
        "detection-gaps",
        "Detection gaps: what customers had to report",
        f"How many of the incidents with each label customers reported, of those that tell how they were detected; "
        f"{reported} in all. A label is said to be reported more or less than others where Fisher's exact test says so "
        "at 5%, corrected for the number of labels.",
        (Column("facet"), Column("label"), *_named(SHARES), Column("of the others", "share"), Column("reading")),
        tuple(rows),
        DETECTION,
    )


def mitigation_tables(study: MitigationStudy | None) -> Iterator[Table]:
    """Hotfixes, what automation could have done, and the time it would have saved."""
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
            (Column("ended"), *SHARES),
            tuple(share_row(share) for share in (*shares, study.silent) if share.n),
            MITIGATION,
        )
    if study.saved is not None and study.saved.saved_minutes is not None:
        yield _saved(study.saved)


def _saved(saved: SavedTime) -> Table:
    low, high = saved.interval or (None, None)
    of_all = saved.saved_minutes / saved.all_minutes if saved.saved_minutes is not None and saved.all_minutes else None
    each = saved.saved_minutes / saved.n if saved.saved_minutes is not None and saved.n else None
    return Table(
        "saved-time",
        "Time that automation would have saved",
        f"{saved.n} incident(s) ended by such actions alone whose times are known, of {saved.n_all} incidents with "
        "known times. Supposed: those that took longer than the supposed time would have ended by then. The supposed "
        f"time is {saved.minutes_from}. An assumption, no measurement; the interval (bootstrap) tells of the chance in "
        "which incidents there were, not of how good the assumption is.",
        (
            Column("incidents", "count"),
            Column("supposed minutes", "minutes"),
            Column("minutes taken", "minutes"),
            Column("minutes saved", "minutes"),
            Column("95% from", "minutes"),
            Column("to", "minutes"),
            Column("each", "minutes"),
            Column("of all minutes", "share"),
        ),
        (
            Row(
                (saved.n, saved.minutes, saved.total_minutes, saved.saved_minutes, low, high, each, of_all),
                saved.incident_ids,
            ),
        ),
        MITIGATION,
    )


def _named(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return (Column("reported", "count"), *columns[1:])
