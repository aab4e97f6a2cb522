"""Agreement of the model with people, and of people among themselves, down to the incidents behind each count."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query, Response
from markupsafe import Markup

from triage.domain.errors import NotFound
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement import FacetFigures, LiveFigures, Overview, Selection
from triage.insights.live_agreement.judgements import MOST_PEOPLE, Outcome, in_cell, of_label
from triage.insights.live_agreement.periods import LEAST, By
from triage.insights.live_agreement.tables import judgements_table, overview_table, tables_of
from triage.insights.live_agreement.watch import ABSTAINED
from triage.render.charts import Chart, Theme
from triage.server.web.downloads import ChartFormat, TableFormat, chart_file, find_table, table_file
from triage.server.web.figure_cache import draw
from triage.server.web.rendering import page_router
from triage.server.web.visit import ReaderVisit, Visit
from triage.store import Judgement

router = page_router()

_PER_PAGE = 50
_WEEKS_UP_TO_DAYS = 180

Days = Literal["30", "90", "180", "365", "all"]


class View(NamedTuple):
    """A selection of judgements, a facet ("" for the first one with judgements), and periods."""

    selection: Selection
    facet: str
    by: Literal["auto", "week", "month"]

    @property
    def period(self) -> By:
        """The chosen period; by default weeks for windows up to half a year, and months for longer ones."""
        if self.by != "auto":
            return self.by
        days = self.selection.days
        return "week" if days is not None and days <= _WEEKS_UP_TO_DAYS else "month"

    def query(self, **changed: str) -> str:
        """The query string of this view, with some parameters changed."""
        selection = self.selection
        values: dict[str, str] = {
            "facet": self.facet,
            "days": "all" if selection.days is None else str(selection.days),
            "annotator": selection.annotator or "",
            "people": "unseen" if selection.unseen else "",
            "by": self.by if self.by != "auto" else "",
        }
        return urlencode({name: value for name, value in (values | changed).items() if value})


class Count(NamedTuple):
    """A count with its cases: a cell of the confusion matrix, or a label given by people, the model or both."""

    facet: Facet
    human: str
    model: str
    label: str
    outcome: Outcome

    @property
    def query(self) -> str:
        """The query string of this count."""
        if self.human:
            return urlencode({"human": self.human, "model": self.model})
        return urlencode({"label": self.label, "given": self.outcome})

    def of(self, judgements: list[Judgement]) -> list[Judgement]:
        """The judgements of this count."""
        if self.human:
            return in_cell(judgements, self.human, self.model)
        return of_label(self.facet, judgements, self.label, self.outcome)


def _view(
    visit: ReaderVisit,
    facet: Annotated[str, Query(max_length=100)] = "",
    days: Days = "90",
    annotator: Annotated[str, Query(max_length=200)] = "",
    people: Literal["all", "unseen", ""] = "",
    by: Literal["auto", "week", "month", ""] = "",
) -> View:
    window = None if days == "all" else int(days)
    return View(Selection(window, annotator or None, people == "unseen", visit.teams), facet, by or "auto")


def _count(
    visit: ReaderVisit,
    view: Viewed,
    human: Annotated[str, Query(max_length=100)] = "",
    model: Annotated[str, Query(max_length=100)] = "",
    label: Annotated[str, Query(max_length=100)] = "",
    given: Outcome = "both",
) -> Count:
    facet = visit.taxonomy.facet(view.facet)
    if not label and not (human and model):
        raise NotFound("Which cases? Follow a count on the page Agreement.", field="human")
    return Count(facet, human, model, label, given)


Viewed = Annotated[View, Depends(_view)]
Counted = Annotated[Count, Depends(_count)]


@router.get("/agreement")
async def agreement(visit: ReaderVisit, view: Viewed, whole: Annotated[bool, Query()] = False) -> Response:
    """Show the figures: at once if they are cached or `whole` is set, else loaded after the page."""
    if view.facet:
        visit.taxonomy.facet(view.facet)
    live_figures = visit.service.live_figures
    context: dict[str, Any] = {"view": view, "figures": None}
    if visit.is_part or whole or live_figures.is_at_hand(view.selection):
        context |= await _context(live_figures, view)
    if visit.is_part:
        return visit.show("_agreement_figures.html", **context)
    return visit.show("agreement.html", annotators=await live_figures.annotators(visit.teams), **context)


@router.get("/agreement/cases")
async def cases(
    visit: ReaderVisit, view: Viewed, count: Counted, page: Annotated[int, Query(ge=1, le=1_000)] = 1
) -> Response:
    """List the incidents of a count, the newest label first."""
    judgements, is_without_blind = await _judgements(visit, view, count)
    shown = judgements[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    return visit.show(
        "agreement_cases.html",
        view=view,
        count=count,
        n=len(judgements),
        judgements=shown,
        is_without_blind=is_without_blind,
        listed=await visit.store.incidents.find_listed({judgement.incident_id for judgement in shown}),
        names=_names(count.facet),
        page=page,
        pages=max(1, -(-len(judgements) // _PER_PAGE)),
    )


@router.get("/agreement/cases.{extension}")
async def cases_file(visit: ReaderVisit, view: Viewed, count: Counted, extension: TableFormat) -> Response:
    judgements, _ = await _judgements(visit, view, count)
    listed = await visit.store.incidents.find_listed({judgement.incident_id for judgement in judgements})
    return table_file(judgements_table(count.facet, judgements, listed), extension)


@router.get("/agreement/tables/{name}.{extension}")
async def table(visit: ReaderVisit, view: Viewed, name: str, extension: TableFormat) -> Response:
    live_figures = visit.service.live_figures
    tables = [overview_table(await live_figures.overview(view.selection))]
    if view.facet:
        tables += tables_of(await live_figures.facet(view.selection, view.facet, view.period), view.period)
    return table_file(find_table(tables, name), extension)


@router.get("/agreement/plots/{name}.{extension}")
async def plot(visit: ReaderVisit, view: Viewed, name: str, extension: ChartFormat, theme: Theme = "light") -> Response:
    figures = await visit.service.live_figures.facet(view.selection, view.facet, view.period)
    return await chart_file(figures.charts, name, theme, extension)


async def _judgements(visit: Visit, view: View, count: Count) -> tuple[list[Judgement], bool]:
    """The judgements of a count, and whether incidents to label blind are left out, as it reveals their labels."""
    blind = await visit.to_label_blind()
    judgements = count.of(await visit.service.live_figures.judgements(view.selection, view.facet))
    return [judgement for judgement in judgements if judgement.incident_id not in blind], bool(blind)


async def _context(live_figures: LiveFigures, view: View) -> dict[str, Any]:
    """The variables of the figures' template."""
    overview = await live_figures.overview(view.selection)
    view = view._replace(facet=view.facet or _first_facet(overview))
    context = {"view": view, "overview": overview, "figures": None, "least": live_figures.least}
    if not view.facet or overview.is_empty:
        return context
    figures = await live_figures.facet(view.selection, view.facet, view.period)
    confusion = figures.confusion
    return context | {
        "figures": figures,
        "plots": await asyncio.to_thread(_plots, figures),
        "tables": {table.id: table for table in tables_of(figures, view.period)},
        "rows": list(zip(confusion.labels, confusion.counts, strict=True)) if confusion else [],
        "names": _names(figures.overview.facet),
        "least_in_period": LEAST,
        "most_people": MOST_PEOPLE,
    }


def _plots(figures: FacetFigures) -> list[tuple[Chart, Markup]]:
    return [(chart, draw(chart)) for chart in figures.charts if not chart.id.startswith("confusion-")]


def _first_facet(overview: Overview) -> str:
    """The facet to show by default."""
    by_use = sorted(overview.facets, key=lambda facet: (facet.kappa.n == 0, facet.annotators == 0))
    return by_use[0].facet.id if by_use else ""


def _names(facet: Facet) -> Mapping[str, str]:
    return {label.id: label.name for label in facet.labels} | {ABSTAINED: "(abstained)"}
