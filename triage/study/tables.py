"""The study as tables: what the terminal, the page and the CSV files all show, each row with its incidents."""

from __future__ import annotations

from collections.abc import Iterator

from triage.study.distributions import Distribution, Share
from triage.study.durations import SMALL, Group
from triage.study.study import Study
from triage.study.trends import FEWEST, LEVEL, SHORTEST
from triage.tables import Cell, Column, Kind, Row, Table, written
from triage.taxonomy import Taxonomy

_SHARES = (
    Column("incidents", "count"),
    Column("of", "count"),
    Column("share", "share"),
    Column("95% from", "share"),
    Column("to", "share"),
)
_TOLD_EMPTY = {"repeats"}
"""Tables whose emptiness is a result."""
_TOGETHER = (Column("all at once from", "share"), Column("all at once to", "share"))


def tables_of(study: Study, taxonomy: Taxonomy) -> list[Table]:
    """All tables that tell something, in the order in which they are told."""
    found = [
        *_comparison(study),
        *(_distribution(one, taxonomy) for one in study.distributions),
        *_detection(study, taxonomy),
        *_mitigation(study),
        *_durations(study, taxonomy),
        *_trends(study, taxonomy),
        *_repeats(study, taxonomy),
        *_agreement(study),
    ]
    return [table for table in found if table.rows or table.id in _TOLD_EMPTY]


def _shares(share: Share, name: str | None = None) -> Row:
    low, high = share.interval or (None, None)
    return Row((name or share.name, share.hits, share.n, share.share, low, high), share.incident_ids)


def _comparison(study: Study) -> Iterator[Table]:
    if study.publication is None:
        return
    rows = []
    for one in study.comparison:
        low, high = one.interval or (None, None)
        verdict = f"can't be compared: {one.why_not}"
        if one.why_not is None:
            verdict = "inside our interval" if one.is_inside else "outside our interval"
        read = "read first-hand" if one.published.read == "first_hand" else "second-hand"
        kind = "kappa" if one.published.measure == "kappa" else "share"
        said: tuple[Cell, ...] = (one.published.value, one.own, low, high)
        if kind == "share":
            said = tuple(None if value is None else written(value, "share") for value in said)
        source = f"{read}: {one.published.source}" + (f"; {one.published.remark}" if one.published.remark else "")
        rows.append(Row((one.published.name, *said, one.n, verdict, source), one.incident_ids))
    columns = [Column("figure"), Column("published", "number"), Column("here", "number"), Column("95% from", "number")]
    columns += [Column("to", "number"), Column("of", "count"), Column("reading"), Column("source of the published one")]
    yield Table(
        "comparison",
        "Published figures and those of this corpus",
        f"{study.n} incidents here, labels {study.origin}; published: {study.publication.population}. The two are "
        "other populations, so a difference need not be one of practice.",
        tuple(columns),
        tuple(rows),
        section="Beside the published study",
    )


def _distribution(one: Distribution, taxonomy: Taxonomy) -> Table:
    facet = taxonomy.facet(one.facet)
    rows = []
    for share in one.shares:
        row = _shares(share, facet.label(share.name).name)
        rows.append(row._replace(cells=(*row.cells, *(share.simultaneous or (None, None)))))
    told = one.n - (one.silent.hits if one.silent else 0)
    caption = f"Shares of the {told} incident(s) that tell it"
    if one.silent and one.silent.hits:
        caption += f"; {one.silent.hits} of {one.n} don't"
    caption += ". Of several labels the primary one counts." if facet.cardinality == "primary_first" else "."
    caption += (
        " Each interval alone holds with 95%."
        if one.is_exclusive
        else " An incident counts for each of its labels, so shares add up to more than 100%."
    )
    if one.unlabelled:
        caption += f" {len(one.unlabelled)} incident(s) are not labelled with it."
    title, key = one.name, one.facet
    if one.within is not None and facet.parent is not None:
        title = f"{one.name} within {taxonomy.facet(facet.parent).label(one.within).name}"
        key = f"{one.facet}-within-{one.within}"
    columns = (Column(one.name), *_SHARES, *(_TOGETHER if one.is_exclusive else ()))
    width = len(columns)
    return Table(
        key,
        title,
        caption,
        columns,
        tuple(row._replace(cells=row.cells[:width]) for row in rows),
        section="What kinds of incidents",
    )


def _detection(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    if study.detection is None:
        return
    one = study.detection
    shares = [share for share in (one.automated, one.reported) if share]
    yield Table(
        "detection-split",
        "Noticed by machines and by customers",
        f"Shares of the {one.automated.n} incident(s) that tell it; {one.silent.hits} of {one.silent.n} don't.",
        (Column("noticed"), *_SHARES),
        (*map(_shares, shares), _shares(one.silent)),
        section="How they were noticed",
    )
    rows = [
        Row((gap.name, taxonomy.facet(gap.facet).label(share.name).name, *_shares(share).cells[1:]), share.incident_ids)
        for gap in one.gaps
        for share in gap.shares
    ]
    yield Table(
        "detection-gaps",
        "Detection gaps: what customers had to report",
        f"Of the {one.reported.hits if one.reported else 0} incident(s) that customers reported, how many were what.",
        (Column("facet"), Column("label"), *_SHARES),
        tuple(rows),
        section="How they were noticed",
    )


def _mitigation(study: Study) -> Iterator[Table]:
    one = study.mitigation
    if one is None:
        return
    shares = [share for share in (one.hotfix, one.automatable, one.partly) if share]
    yield Table(
        "mitigation-shares",
        "Hotfixes, and what automation could have done",
        f"Shares of the {shares[0].n if shares else 0} incident(s) whose write-up tells what ended them. Whether an "
        "action that automation could take would have been taken rightly is not known.",
        (Column("ended"), *_SHARES),
        tuple(map(_shares, shares)),
        section="How they were ended",
    )
    if one.saved is not None:
        saved = one.saved
        yield Table(
            "saved-time",
            "Time that automation would have saved",
            f"{len(saved.incident_ids)} incident(s) ended by such actions alone, whose times are known. Supposed: "
            "those that took longer than the supposed time would have ended by then. The "
            f"supposed time is {saved.minutes_from}. An assumption, no measurement.",
            (
                Column("incidents", "count"),
                Column("supposed minutes", "minutes"),
                Column("minutes taken", "minutes"),
                Column("minutes saved", "minutes"),
            ),
            (
                Row(
                    (len(saved.incident_ids), saved.minutes, saved.total_minutes, saved.saved_minutes),
                    saved.incident_ids,
                ),
            ),
            section="How they were ended",
        )


def _durations(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    columns = [Column("facet"), Column("label"), Column("incidents", "count"), Column("ended", "count")]
    columns += [Column("open", "count"), Column("unknown", "count")]
    columns += [Column(name, "minutes") for name in ("25%", "median", "95% from", "to", "75%", "90%")]
    for measure, title in (("ttm", "Time to mitigate, in minutes"), ("ttd", "Time to detect, in minutes")):
        of_measure = [one for one in study.durations if one.measure == measure]
        everyone = next((one for one in of_measure if one.facet is None), None)
        rows = [_duration(one, taxonomy) for one in of_measure if one.ended or one.open]
        if everyone is None or not rows:
            continue
        known = len(everyone.ended) + len(everyone.open)
        caption = (
            f"{known} of {everyone.n} incidents tell it. Kaplan-Meier quantiles; nothing is told of fewer than {SMALL} "
            "that ended. Those unknown count for nothing, as if they were like the others."
        )
        if measure == "ttm":
            caption += " To the resolution where that is all that is known."
        yield Table(measure, title, caption, tuple(columns), tuple(rows), section="How long they took")


def _duration(one: Group, taxonomy: Taxonomy) -> Row:
    known = {facet.id: facet for facet in taxonomy.facets}
    facet = known.get(one.facet or "")
    names = (facet.name, facet.label(one.label).name) if facet else (one.facet or "all", one.label)
    counts = (one.n, len(one.ended), len(one.open), len(one.unknown))
    if one.quantiles is None:
        return Row((*names, *counts, None, "too few", None, None, None, None), one.ended)
    q = one.quantiles
    low, high = q.interval
    return Row((*names, *counts, q.p25, q.median, low, high, q.p75, q.p90), one.ended + one.open)


def _trends(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    if not study.trends:
        return
    rows = []
    for one in study.trends:
        kind: Kind = "number" if one.facet is None else "share"
        name = one.what if one.facet is None else f"share of {taxonomy.facet(one.facet).label(one.what).name}"
        hits = tuple(key for month in one.months for key in month.incident_ids)
        change = one.change
        told: tuple[Cell, ...] = (None, None, None)
        if change is not None:
            told = (change.month, written(change.before, kind), written(change.after, kind))
        verdict = "too little to tell" if one.p is None else "changed" if change else "no change seen"
        rows.append(Row((name, len(hits), verdict, *told, one.p, one.adjusted), hits))
    columns = [Column("series"), Column("incidents", "count"), Column("reading"), Column("from")]
    columns += [
        Column("before", "number"),
        Column("after", "number"),
        Column("p", "number"),
        Column("p, Holm", "number"),
    ]
    yield Table(
        "changes",
        "Changes of level",
        f"The likeliest month of a change from {study.first} to {study.last} (likelihood ratio, {SHORTEST} or more "
        f"months on either side), with p-values from random corpora, told up to p {LEVEL} (Holm) and from "
        f"{FEWEST} incidents on. Numbers are incidents a month. The first and the last month may be incomplete.",
        tuple(columns),
        tuple(rows),
        section="How it changed",
    )
    everyone, labels = study.trends[0], study.trends[1:]
    monthly = [
        Row(
            (month.month, len(month.incident_ids), *(len(one.months[place].incident_ids) for one in labels)),
            month.incident_ids,
        )
        for place, month in enumerate(everyone.months)
    ]
    names = [taxonomy.facet(one.facet).label(one.what).name for one in labels if one.facet]
    yield Table(
        "months",
        "Incidents by month",
        f"The {sum(len(month.incident_ids) for month in everyone.months)} incidents with a known start, by the month "
        "(UTC) in which they began.",
        (Column("month"), Column("all", "count"), *(Column(name, "count") for name in names)),
        tuple(monthly),
        section="How it changed",
    )


def _repeats(study: Study, taxonomy: Taxonomy) -> Iterator[Table]:
    repeats = study.repeats
    rows = [
        Row(
            (
                group.titles[0] or group.incident_ids[0],
                len(group.incident_ids),
                group.first,
                group.last,
                ", ".join(taxonomy.facet(facet).label(label).name for facet, label in group.labels.items()),
                group.lowest_similarity,
            ),
            group.incident_ids,
        )
        for group in repeats.groups
    ]
    how = "most of the shorter one's word 4-grams stand in the other"
    if repeats.similarity is not None:
        how += f", or their embeddings' cosine is at least {repeats.similarity:g}"
    yield Table(
        "repeats",
        "Groups of incidents that are nearly the same",
        f"{len(rows)} group(s) with {sum(len(row.incident_ids) for row in rows)} of {repeats.n} incidents. "
        f"Two incidents are linked where {how}; links chain.",
        (
            Column("first incident"),
            Column("incidents", "count"),
            Column("first"),
            Column("last"),
            Column("most carry"),
            Column("least alike", "number"),
        ),
        tuple(rows),
        section="Repeat offenders",
    )


def _agreement(study: Study) -> Iterator[Table]:
    rows = []
    for facet in study.agreement.facets if study.agreement else ():
        ceiling = facet.ceiling
        low, high = (ceiling.interval.low, ceiling.interval.high) if ceiling.interval else (None, None)
        people = sum(one.origin == "human" for one in facet.annotators)
        rows.append(Row((facet.facet, people, ceiling.n, ceiling.value, low, high, ceiling.undefined or "")))
    yield Table(
        "agreement",
        "People with each other",
        "Mean agreement over pairs of people: Cohen's kappa, or alpha of the sets where there are many labels. Labels "
        "of models and derived ones count as nobody's opinion. `triage agreement` tells more.",
        (
            Column("facet"),
            Column("people", "count"),
            Column("incidents", "count"),
            Column("agreement", "number"),
            Column("95% from", "number"),
            Column("to", "number"),
            Column("why not"),
        ),
        tuple(rows),
        section="Agreement of the labels",
    )
