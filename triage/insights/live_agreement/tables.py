"""The figures as tables, for pages and files. Labels are shown by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from triage.agreement import Alpha, Kappa, MeanAgreement
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.facet_figures import FacetFigures, Overview
from triage.insights.live_agreement.label_figures import LabelFigures
from triage.insights.live_agreement.people import PairFigure, PersonFigure
from triage.insights.live_agreement.periods import LEAST, By, Period
from triage.insights.live_agreement.watch import ABSTAINED
from triage.render.tables import Cell, Column, Row, Table
from triage.store import Judgement, Listed

_INTERVAL = (Column("from", "number"), Column("to", "number"))


def tables_of(found: FacetFigures, by: By) -> Iterator[Table]:
    """Every table of one facet."""
    facet = found.overview.facet
    yield periods_table(facet, found.periods, by)
    if found.confusion is not None:
        yield confusion_table(facet, found.confusion.labels, found.confusion.counts)
    yield labels_table(facet, found.labels)
    yield pairs_table(facet, found.pairs)
    yield people_table(facet, found.people)


def overview_table(overview: Overview) -> Table:
    """All facets: the model with people, people among themselves, coverage, gate and drift."""
    columns = (
        Column("facet"),
        *_with_interval("model with people, kappa"),
        Column("labels", "count"),
        *_with_interval("people among themselves"),
        Column("incidents of two people", "count"),
        Column("people", "count"),
        Column("alpha", "number"),
        *_with_interval("model unseen, kappa"),
        Column("labels, model unseen", "count"),
        Column("abstained", "count"),
        Column("labelled", "count"),
        Column("triaged", "count"),
        Column("gate"),
        Column("drift, p", "number"),
        Column("drift, index", "number"),
        Column("alerts"),
    )
    rows = []
    for facet in overview.facets:
        watch = facet.watch
        cells: list[Cell] = [
            facet.facet.id,
            *_figure(facet.kappa),
            facet.kappa.n,
            *_figure(facet.people),
            facet.people.n,
            facet.annotators,
            facet.alpha.value if facet.alpha else None,
            *_figure(facet.unseen),
            facet.unseen.n,
            facet.abstained,
            facet.coverage.hits,
            facet.coverage.n,
            watch.state if watch else "not triaged",
            watch.drift.p if watch else None,
            watch.drift.psi if watch else None,
            " ".join(watch.alerts) if watch else "",
        ]
        rows.append(Row(tuple(cells)))
    watched = f"gate and drift of the last {overview.watch.window_days:g} days"
    caption = f"As of {overview.computed_at:%Y-%m-%d %H:%M} UTC; {watched}."
    return Table("agreement", "Agreement of all facets", caption, columns, tuple(rows))


def periods_table(facet: Facet, periods: Sequence[Period], by: By) -> Table:
    """The figures of each week or month."""
    columns = (
        Column(f"{by} from"),
        *_with_interval("model with people, kappa"),
        Column("labels", "count"),
        *_with_interval("people among themselves"),
        Column("incidents of two people", "count"),
    )
    rows = [
        Row(
            (
                period.start.isoformat(),
                *_figure(period.model),
                period.model.n,
                *_figure(period.people),
                period.people.n,
            )
        )
        for period in periods
    ]
    caption = f"By {by}, the oldest first. No figure where fewer than {LEAST} count."
    return Table(f"over-time-{facet.id}", f"{facet.name}: agreement over time", caption, columns, tuple(rows))


def confusion_table(facet: Facet, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Table:
    """What people said in rows, what the model said in columns."""
    columns = (Column("people"), *(Column(label, "count") for label in labels))
    rows = [Row((label, *row)) for label, row in zip(labels, counts, strict=True) if any(row)]
    caption = f"{sum(map(sum, counts))} labels of people in rows, the model's in columns."
    return Table(f"confusion-{facet.id}", f"{facet.name}: confusion", caption, columns, tuple(rows))


def labels_table(facet: Facet, labels: Iterable[LabelFigures]) -> Table:
    """Every label by itself."""
    columns = (
        Column("label"),
        Column("people", "count"),
        Column("model", "count"),
        Column("both", "count"),
        Column("precision", "share"),
        Column("recall", "share"),
        Column("F1", "share"),
        *_with_interval("kappa"),
        *_with_interval("people's alpha"),
    )
    rows = [
        Row(
            (
                label.label,
                label.score.support,
                label.score.predicted,
                label.both,
                label.score.precision,
                label.score.recall,
                label.score.f1,
                *_figure(label.kappa),
                *_figure(label.people),
            )
        )
        for label in labels
    ]
    caption = "Precision and recall hold the model against people; F1 is the positive agreement of both."
    return Table(f"labels-{facet.id}", f"{facet.name}: label by label", caption, columns, tuple(rows))


def pairs_table(facet: Facet, pairs: Iterable[PairFigure]) -> Table:
    """People with people."""
    figure = "alpha of sets" if facet.cardinality == "multi" else "kappa"
    columns = (Column("one"), Column("other"), *_with_interval(figure), Column("incidents", "count"))
    rows = [Row((pair.first, pair.second, *_figure(pair.figure), pair.figure.n)) for pair in pairs]
    caption = "Each pair on the incidents that both labelled."
    return Table(f"pairs-{facet.id}", f"{facet.name}: people with people", caption, columns, tuple(rows))


def people_table(facet: Facet, people: Iterable[PersonFigure]) -> Table:
    """The model with each person."""
    columns = (
        Column("person"),
        *_with_interval("kappa"),
        Column("labels", "count"),
        Column("after seeing the model's", "count"),
    )
    rows = [Row((person.name, *_figure(person.kappa), person.kappa.n, person.saw_model)) for person in people]
    caption = "Each person's labels against the model's."
    return Table(f"people-{facet.id}", f"{facet.name}: the model with each person", caption, columns, tuple(rows))


def judgements_table(facet: Facet, judged: Iterable[Judgement], listed: Mapping[str, Listed]) -> Table:
    """The judgements behind a count, each with its incident."""
    columns = (
        Column("incident"),
        Column("title"),
        Column("labelled at"),
        Column("person"),
        Column("person said"),
        Column("model said"),
        Column("saw the model's"),
    )
    seen = {True: "yes", False: "no", None: "not known"}
    rows = [
        Row(
            (
                judgement.incident_id,
                listed[judgement.incident_id].title if judgement.incident_id in listed else "",
                judgement.given_at.isoformat(timespec="seconds"),
                judgement.annotator,
                "; ".join(judgement.labels),
                "; ".join(judgement.triaged or (ABSTAINED,)),
                seen[judgement.saw_model],
            ),
            (judgement.incident_id,),
        )
        for judgement in judged
    ]
    return Table(f"cases-{facet.id}", f"{facet.name}: cases", f"{len(rows)} labels.", columns, tuple(rows))


def _with_interval(name: str) -> tuple[Column, ...]:
    return (Column(name, "number"), *_INTERVAL)


def _figure(figure: Kappa | Alpha | MeanAgreement | None) -> tuple[Cell, Cell, Cell]:
    interval = figure.interval if figure else None
    return figure.value if figure else None, interval.low if interval else None, interval.high if interval else None
