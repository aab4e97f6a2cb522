"""The figures as tables, for pages and files. Labels are shown by their ids."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from triage.agreement import Alpha, Kappa, MeanAgreement
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement.facet_figures import FacetFigures, Overview
from triage.insights.live_agreement.judgements import LabelFigures, PairFigure, PersonFigure
from triage.insights.live_agreement.periods import LEAST, By, Period
from triage.insights.live_agreement.watch import ABSTAINED
from triage.render.tables import Cell, Column, Row, Table, columns_of
from triage.store import Judgement, Listed

_MODEL_AND_PEOPLE = (
    " | model with people, kappa:number | from:number | to:number | labels:count | people among themselves:number"
    " | from:number | to:number | incidents of two people:count"
)


def tables_of(figures: FacetFigures, by: By) -> Iterator[Table]:
    """Every table of one facet."""
    facet = figures.overview.facet
    yield periods_table(facet, figures.periods, by)
    if figures.confusion is not None:
        yield confusion_table(facet, figures.confusion.labels, figures.confusion.counts)
    yield labels_table(facet, figures.labels)
    yield pairs_table(facet, figures.pairs)
    yield people_table(facet, figures.people)


def overview_table(overview: Overview) -> Table:
    """All facets: the model with people, people among themselves, coverage, gate and drift."""
    columns = columns_of(
        f"facet{_MODEL_AND_PEOPLE} | people:count | alpha:number | model unseen, kappa:number | from:number | to:number"
        " | labels, model unseen:count | abstained:count | labelled:count | triaged:count | gate | drift, p:number"
        " | drift, index:number | alerts"
    )
    rows = []
    for facet in overview.facets:
        watch, alpha = facet.watch, facet.alpha.value if facet.alpha else None
        cells: list[Cell] = [facet.facet.id, *_figure_with_n(facet.kappa), *_figure_with_n(facet.people)]
        cells += [facet.annotators, alpha, *_figure_with_n(facet.unseen)]
        cells += [facet.abstained, facet.coverage.hits, facet.coverage.n]
        cells += [watch.state, watch.drift.p, watch.drift.psi] if watch else ["not triaged", None, None]
        rows.append(Row((*cells, " ".join(watch.alerts) if watch else "")))
    watched = f"gate and drift of the last {overview.watch.window_days:g} days"
    caption = f"As of {overview.computed_at:%Y-%m-%d %H:%M} UTC; {watched}."
    return Table("agreement", "Agreement of all facets", caption, columns, tuple(rows))


def periods_table(facet: Facet, periods: Sequence[Period], by: By) -> Table:
    """The figures of each week or month."""
    rows = [
        Row((period.start.isoformat(), *_figure_with_n(period.model), *_figure_with_n(period.people)))
        for period in periods
    ]
    caption = f"By {by}, the oldest first. No figure where fewer than {LEAST} count."
    title, columns = f"{facet.name}: agreement over time", columns_of(f"{by} from{_MODEL_AND_PEOPLE}")
    return Table(f"over-time-{facet.id}", title, caption, columns, tuple(rows))


def confusion_table(facet: Facet, labels: Sequence[str], counts: Sequence[Sequence[int]]) -> Table:
    """What people said in rows, what the model said in columns."""
    columns = (Column("people"), *(Column(label, "count") for label in labels))
    rows = [Row((label, *row)) for label, row in zip(labels, counts, strict=True) if any(row)]
    caption = f"{sum(map(sum, counts))} labels of people in rows, the model's in columns."
    return Table(f"confusion-{facet.id}", f"{facet.name}: confusion", caption, columns, tuple(rows))


def labels_table(facet: Facet, labels: Iterable[LabelFigures]) -> Table:
    """Every label by itself."""
    columns = columns_of(
        "label | people:count | model:count | both:count | precision:share | recall:share | F1:share | kappa:number"
        " | from:number | to:number | people's alpha:number | from:number | to:number"
    )
    rows = []
    for label in labels:
        score = label.score
        counts = (label.label, score.support, score.predicted, label.both)
        rows.append(
            Row((*counts, score.precision, score.recall, score.f1, *_figure(label.kappa), *_figure(label.people)))
        )
    caption = "Precision and recall hold the model against people; F1 is the positive agreement of both."
    return Table(f"labels-{facet.id}", f"{facet.name}: label by label", caption, columns, tuple(rows))


def pairs_table(facet: Facet, pairs: Iterable[PairFigure]) -> Table:
    """People with people."""
    figure = "alpha of sets" if facet.cardinality == "multi" else "kappa"
    columns = columns_of(f"one | other | {figure}:number | from:number | to:number | incidents:count")
    rows = [Row((pair.first, pair.second, *_figure_with_n(pair.figure))) for pair in pairs]
    caption = "Each pair on the incidents that both labelled."
    return Table(f"pairs-{facet.id}", f"{facet.name}: people with people", caption, columns, tuple(rows))


def people_table(facet: Facet, people: Iterable[PersonFigure]) -> Table:
    """The model with each person."""
    columns = columns_of(
        "person | kappa:number | from:number | to:number | labels:count | after seeing the model's:count"
    )
    rows = [Row((person.name, *_figure_with_n(person.kappa), person.saw_model)) for person in people]
    caption = "Each person's labels against the model's."
    return Table(f"people-{facet.id}", f"{facet.name}: the model with each person", caption, columns, tuple(rows))


def judgements_table(facet: Facet, judged: Iterable[Judgement], listed: Mapping[str, Listed]) -> Table:
    """The judgements behind a count, each with its incident."""
    columns = columns_of("incident | title | labelled at | person | person said | model said | saw the model's")
    seen = {True: "yes", False: "no", None: "not known"}
    rows = []
    for judgement in judged:
        incident_id = judgement.incident_id
        title = listed[incident_id].title if incident_id in listed else ""
        people, model = "; ".join(judgement.labels), "; ".join(judgement.triaged or (ABSTAINED,))
        labelled = (judgement.given_at.isoformat(timespec="seconds"), judgement.annotator)
        rows.append(Row((incident_id, title, *labelled, people, model, seen[judgement.saw_model]), (incident_id,)))
    return Table(f"cases-{facet.id}", f"{facet.name}: cases", f"{len(rows)} labels.", columns, tuple(rows))


def _figure(figure: Kappa | Alpha | MeanAgreement | None) -> tuple[Cell, Cell, Cell]:
    interval = figure.interval if figure else None
    return figure.value if figure else None, interval.low if interval else None, interval.high if interval else None


def _figure_with_n(figure: Kappa | Alpha | MeanAgreement) -> tuple[Cell, ...]:
    return *_figure(figure), figure.n
