"""The study as tables: what the terminal, the page and the CSV files all show, each row with its incidents."""

from __future__ import annotations

from collections.abc import Iterator

from triage.domain.taxonomy import Taxonomy
from triage.insights.study.comparison import Beside
from triage.insights.study.distributions import Distribution
from triage.insights.study.near_same import RUN, SHARED
from triage.insights.study.response_tables import DETECTION, MITIGATION, detection_tables, mitigation_tables
from triage.insights.study.share_rows import SHARES, share_row
from triage.insights.study.study import Study
from triage.insights.study.time_tables import duration_tables, trend_tables
from triage.render.tables import Cell, Column, Row, Table

_TOLD_EMPTY = {"repeats", "agreement"}
"""Tables whose emptiness is a result."""
_TOGETHER = (Column("all at once from", "share"), Column("all at once to", "share"))
_HOW_FAR = (
    "Cohen's kappa of each two, or alpha of the label sets where there are many; of several people the mean over their "
    "pairs. `gold` are people's gold labels, held against models. `triage agreement` tells more."
)
_COMPARISON = "Beside the published study"


def tables_of(study: Study, taxonomy: Taxonomy) -> list[Table]:
    """All tables that tell something, in the order in which they are told."""
    detection = study.detection.facet if study.detection else None
    mitigation = study.mitigation.facet if study.mitigation else None
    kinds, detected, ended = list[Table](), list[Table](), list[Table]()
    for one in study.distributions:
        if one.facet == detection:
            detected.append(_distribution(one, taxonomy, DETECTION))
        elif one.facet == mitigation:
            ended.append(_distribution(one, taxonomy, MITIGATION))
        else:
            kinds.append(_distribution(one, taxonomy, "What kinds of incidents"))
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
    ]
    return [table for table in found if table.rows or table.id in _TOLD_EMPTY]


def _comparison(study: Study) -> Iterator[Table]:
    population = f"{study.n} incidents here, labels {study.origin}; published: {study.publication.population}."
    of = [Column("of", "count"), Column("reading"), Column("source of the published one")]
    shares = [one for one in study.comparison if one.published.measure != "kappa"]
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
        tuple(Row(_beside(one), one.incident_ids) for one in shares),
        _COMPARISON,
    )
    kappas = [one for one in study.comparison if one.published.measure == "kappa"]
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
        tuple(Row(_beside(one)) for one in kappas),
        _COMPARISON,
    )


def _beside(one: Beside) -> tuple[Cell, ...]:
    low, high = one.interval or (None, None)
    reading = "no difference seen"
    if one.why_not is not None:
        reading = f"can't be compared: {one.why_not}"
    elif one.differs and one.own is not None:
        reading = "higher than published" if one.own > one.published.value else "lower than published"
    read = "read first-hand" if one.published.read == "first_hand" else "second-hand"
    source = f"{read}: {one.published.source}" + (f"; {one.published.remark}" if one.published.remark else "")
    return (one.published.name, one.published.value, one.own, low, high, one.n, reading, source)


def _distribution(one: Distribution, taxonomy: Taxonomy, section: str) -> Table:
    facet = taxonomy.facet(one.facet)
    rows = []
    for share in one.shares:
        row = share_row(share, facet.label(share.name).name)
        rows.append(row._replace(cells=(*row.cells, *(share.simultaneous or (None, None)))))
    told = one.n - (one.silent.hits if one.silent else 0)
    caption = f"Shares of the {told} incident(s) that tell it"
    if one.silent and one.silent.hits:
        caption += f"; {one.silent.hits} of {one.n} don't"
    caption += ". Of several labels the primary one counts." if facet.cardinality == "primary_first" else "."
    caption += (
        " Each interval alone holds with 95%."
        if one.is_exclusive
        else " An incident counts for each of its labels, so shares may add up to more than 100%."
    )
    if one.n_unlabelled:
        caption += f" {one.n_unlabelled} incident(s) are not labelled with it."
    if one.never:
        caption += f" Never given: {', '.join(facet.label(label).name for label in one.never)}."
    title, key = one.name, one.facet
    if one.within is not None and facet.parent is not None:
        title = f"{one.name} within {taxonomy.facet(facet.parent).label(one.within).name}"
        key = f"{one.facet}-within-{one.within}"
    columns = (Column(one.name), *SHARES, *(_TOGETHER if one.is_exclusive else ()))
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
        tuple(Row((one.figure, one.why, one.how)) for one in study.missing),
        "What is missing",
    )
