"""Agreement: the model with people beside what people reach among themselves, down to the incidents of each count."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from typing import Annotated, Any, Literal, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query, Request, Response
from markupsafe import Markup

from triage.domain.errors import NotFound
from triage.domain.taxonomy import Facet
from triage.insights.live_agreement import FacetFigures, Overview, Selection
from triage.insights.live_agreement.labels import Outcome, in_cell, of_label
from triage.insights.live_agreement.people import MOST_PEOPLE
from triage.insights.live_agreement.periods import LEAST, By
from triage.insights.live_agreement.report import ABSTAINED
from triage.insights.live_agreement.tables import judgements_table, overview_table, tables_of
from triage.render.charts import Chart, Theme
from triage.server.api.access import Reader
from triage.server.api.service import Parts, Service
from triage.server.web.blind import to_label_blind
from triage.server.web.downloads import ChartFormat, TableFormat, chart_file, find_chart, find_table, table_file
from triage.server.web.plots import drawn
from triage.server.web.rendering import is_part, page_router, show
from triage.store import Judgement

router = page_router()

_PER_PAGE = 50
_WEEKS_UP_TO_DAYS = 180

Days = Literal["30", "90", "180", "365", "all"]


class View(NamedTuple):
    """What is looked at: a selection of judgements, a facet ("" for the first that has any), weeks or months."""

    selection: Selection
    facet: str
    by: Literal["auto", "week", "month"]

    @property
    def period(self) -> By:
        """Weeks for a window of half a year, months for a longer one, unless one was chosen."""
        if self.by != "auto":
            return self.by
        days = self.selection.days
        return "week" if days is not None and days <= _WEEKS_UP_TO_DAYS else "month"

    def query(self, **changed: str) -> str:
        """The address that asks for this, with some of it changed."""
        chosen = self.selection
        values: dict[str, str] = {
            "facet": self.facet,
            "days": "all" if chosen.days is None else str(chosen.days),
            "annotator": chosen.annotator or "",
            "people": "unseen" if chosen.unseen else "",
            "by": self.by if self.by != "auto" else "",
        }
        return urlencode({name: value for name, value in (values | changed).items() if value})


class Count(NamedTuple):
    """A count whose cases are listed: one cell of the confusion matrix, or one label and who gave it."""

    facet: Facet
    human: str
    model: str
    label: str
    outcome: Outcome

    @property
    def query(self) -> str:
        """The part of the address that names it."""
        said = (
            {"human": self.human, "model": self.model} if self.human else {"label": self.label, "given": self.outcome}
        )
        return urlencode(said)

    def of(self, judged: list[Judgement]) -> list[Judgement]:
        """Its judgements."""
        if self.human:
            return in_cell(judged, self.human, self.model)
        return of_label(self.facet, judged, self.label, self.outcome)


def _view(
    who: Reader,
    facet: Annotated[str, Query(max_length=100)] = "",
    days: Days = "90",
    annotator: Annotated[str, Query(max_length=200)] = "",
    people: Literal["all", "unseen", ""] = "",
    by: Literal["auto", "week", "month", ""] = "",
) -> View:
    window = None if days == "all" else int(days)
    return View(Selection(window, annotator or None, people == "unseen", who.teams), facet, by or "auto")


def _count(
    service: Parts,
    view: Wanted,
    human: Annotated[str, Query(max_length=100)] = "",
    model: Annotated[str, Query(max_length=100)] = "",
    label: Annotated[str, Query(max_length=100)] = "",
    given: Outcome = "both",
) -> Count:
    facet = service.casebook.taxonomy.facet(view.facet)
    if not label and not (human and model):
        raise NotFound("Which cases? Follow a count on the page Agreement.", field="human")
    return Count(facet, human, model, label, given)


Wanted = Annotated[View, Depends(_view)]
Counted = Annotated[Count, Depends(_count)]


@router.get("/agreement")
async def agreement(
    request: Request, service: Parts, who: Reader, view: Wanted, whole: Annotated[bool, Query()] = False
) -> Response:
    """Show the figures: at once if they are at hand or asked for, else by a second request of the page."""
    if view.facet:
        service.casebook.taxonomy.facet(view.facet)
    known: dict[str, Any] = {"view": view, "figures": None}
    if is_part(request) or whole or service.live_figures.is_at_hand(view.selection):
        known |= await _known(service, view)
    if is_part(request):
        return show(request, "_agreement_figures.html", headers=_FRESH, **known)
    annotators = await service.live_figures.annotators(who.teams)
    return show(request, "agreement.html", annotators=annotators, headers=_FRESH, **known)


@router.get("/agreement/cases")
async def cases(
    request: Request, service: Parts, view: Wanted, count: Counted, page: Annotated[int, Query(ge=1, le=1_000)] = 1
) -> Response:
    """List the incidents of one count, the newest label first."""
    blind = await to_label_blind(request, service)
    judged = await _judged(service, view, count, blind)
    shown = judged[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    return show(
        request,
        "agreement_cases.html",
        headers=_FRESH,
        view=view,
        count=count,
        n=len(judged),
        judged=shown,
        is_without_blind=bool(blind),
        listed=await service.store.incidents.find_listed({one.incident_id for one in shown}),
        names=_names(count.facet),
        page=page,
        pages=max(1, -(-len(judged) // _PER_PAGE)),
    )


@router.get("/agreement/cases.{ending}")
async def cases_file(request: Request, service: Parts, view: Wanted, count: Counted, ending: TableFormat) -> Response:
    """Send the incidents of one count as a file."""
    judged = await _judged(service, view, count, await to_label_blind(request, service))
    listed = await service.store.incidents.find_listed({one.incident_id for one in judged})
    return table_file(judgements_table(count.facet, judged, listed), ending)


@router.get("/agreement/tables/{name}.{ending}")
async def table(service: Parts, view: Wanted, name: str, ending: TableFormat) -> Response:
    """Send one of the page's tables as a file."""
    overview = await service.live_figures.overview(view.selection)
    tables = [overview_table(overview)]
    if view.facet:
        found = await service.live_figures.facet(view.selection, view.facet, view.period)
        tables += tables_of(found, view.period)
    return table_file(find_table(tables, name), ending)


@router.get("/agreement/plots/{name}.{ending}")
async def plot(service: Parts, view: Wanted, name: str, ending: ChartFormat, theme: Theme = "light") -> Response:
    """Send one of the charts of a facet as a file."""
    found = await service.live_figures.facet(view.selection, view.facet, view.period)
    return await asyncio.to_thread(chart_file, find_chart(found.charts, name), theme, ending)


async def _judged(service: Service, view: View, count: Count, blind: Collection[str]) -> list[Judgement]:
    """The judgements of one count, without what is to be labelled `blind`: that it is of the count tells its label."""
    judged = count.of(await service.live_figures.judgements(view.selection, view.facet))
    return [one for one in judged if one.incident_id not in blind]


async def _known(service: Service, view: View) -> dict[str, Any]:
    """What the template of the figures shows."""
    overview = await service.live_figures.overview(view.selection)
    facet = view.facet or _first(overview)
    figures: FacetFigures | None = None
    if facet and not overview.is_empty:
        figures = await service.live_figures.facet(view.selection, facet, view.period)
    view = view._replace(facet=facet)
    return {
        "view": view,
        "overview": overview,
        "figures": figures,
        "plots": [] if figures is None else await asyncio.to_thread(_drawn, figures),
        "tables": {} if figures is None else {one.id: one for one in tables_of(figures, view.period)},
        "rows": list(zip(figures.confusion.labels, figures.confusion.counts, strict=True))
        if figures and figures.confusion
        else [],
        "names": {} if figures is None else _names(figures.overview.facet),
        "least": service.live_figures.least,
        "least_in_period": LEAST,
        "most_people": MOST_PEOPLE,
    }


def _drawn(figures: FacetFigures) -> list[tuple[Chart, Markup]]:
    return [(chart, drawn(chart)) for chart in figures.charts if not chart.id.startswith("confusion-")]


def _first(overview: Overview) -> str:
    """The facet to show where none was chosen."""
    by_use = sorted(overview.facets, key=lambda one: (one.kappa.n == 0, one.annotators == 0))
    return by_use[0].facet.id if by_use else ""


def _names(facet: Facet) -> Mapping[str, str]:
    return {label.id: label.name for label in facet.labels} | {ABSTAINED: "(abstained)"}


_FRESH = {"Cache-Control": "no-store"}
