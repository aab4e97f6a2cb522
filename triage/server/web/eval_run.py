"""An eval run: gates and metrics, facets down to their cases, worst cases, and the report as a file."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Annotated, Any, Literal, cast
from urllib.parse import quote, urlencode

from fastapi import Depends, Query, Request, Response
from markupsafe import Markup

from triage.domain.errors import NotFound
from triage.evaluation.reports.facet_view import CaseList, FacetView
from triage.evaluation.reports.html import Part, file_of, part_of
from triage.evaluation.reports.markdown import as_markdown
from triage.evaluation.reports.tables import cases_csv, cases_table, tables_of
from triage.evaluation.reports.worst_cases import told_case
from triage.evaluation.run_cache import OpenedRun, RunCache
from triage.render.charts import Theme
from triage.server.api.access import requires
from triage.server.api.service import Parts
from triage.server.web.downloads import ChartFormat, TableFormat, attachment, chart_file, find_table, table_file
from triage.server.web.rendering import NO_STORE, is_part, page_router, show

router = page_router()

ALLOWED = [requires("read", all_teams=True)]
"""Runs belong to no team and may hold incidents of all teams."""

_OTHER_RUNS = 50

ReportFormat = Literal["html", "json", "md"]


class RunLinks:
    """Paths of a run's cases and of its tables and charts as files: the `Links` of its report on pages."""

    def __init__(self, name: str, files: Collection[str] = ()) -> None:
        self._path = run_path(name)
        self._files = files

    def cases(self, of: CaseList) -> str:
        return f"{self._path}/cases?{cases_query(of)}"

    def case(self, case_id: str) -> str:
        return f"{self._path}/case?{urlencode({'id': case_id})}"

    def file(self, id_: str, kind: str) -> str:
        folder = "tables" if kind in {"csv", "json"} else "plots"
        return f"{self._path}/{folder}/{quote(id_)}.{kind}" if id_ in self._files else ""


def run_path(name: str) -> str:
    return f"/evals/runs/{quote(name, safe='')}"


def cases_query(of: CaseList) -> str:
    """The query string of the cases of a count."""
    which = {"predicted": of.predicted} if of.predicted is not None else {"outcome": of.outcome}
    return urlencode({"facet": of.facet, "gold": of.gold} | which)


def _run_cache(request: Request) -> RunCache:
    return cast("RunCache", request.app.state.run_cache)


Runs = Annotated[RunCache, Depends(_run_cache)]


async def _open(runs: Runs, name: str) -> OpenedRun:
    return await runs.open(name)


Opened = Annotated[OpenedRun, Depends(_open)]


def _count(opened: Opened, facet: str, gold: str, predicted: str = "", outcome: str = "") -> tuple[FacetView, CaseList]:
    view = _facet(opened, facet)
    for cases in view.lists:
        found = cases.outcome if cases.predicted is None else cases.predicted
        if cases.gold == gold and found == (outcome or predicted):
            return view, cases
    raise NotFound("This run has no such cases: follow a count of the page of a facet.", facet=facet)


Counted = Annotated[tuple[FacetView, CaseList], Depends(_count)]
"""A count of a facet with its cases."""


@router.get("/evals/runs/{name}", dependencies=ALLOWED)
async def run(
    request: Request, runs: Runs, name: str, facet: str = "", whole: Annotated[bool, Query()] = False
) -> Response:
    """Show a run or one of its facets: at once if it is cached or `whole` is set, else loaded after the page."""
    if not (is_part(request) or whole or await asyncio.to_thread(runs.is_at_hand, name)):
        return show(request, "evals_opening.html", headers=NO_STORE, name=name, path=run_path(name), facet=facet)
    opened = await runs.open(name)
    if facet:
        parts = [await _part(opened, "facet", view=_facet(opened, facet))]
    else:
        gates = [await _part(opened, "gates")] if opened.view.report.gates else []
        parts = [*gates, await _part(opened, "metrics"), await _part(opened, "cost")]
    return await _show(request, runs, opened, "evals_run.html", facet, parts=parts)


@router.get("/evals/runs/{name}/worst", dependencies=ALLOWED)
async def worst(request: Request, runs: Runs, opened: Opened) -> Response:
    """Show the most confident mistakes of a run, with text and evidence."""
    return await _show(request, runs, opened, "evals_run.html", "worst", parts=[await _part(opened, "worst_cases")])


@router.get("/evals/runs/{name}/provenance", dependencies=ALLOWED)
async def provenance(request: Request, runs: Runs, opened: Opened) -> Response:
    return await _show(request, runs, opened, "evals_run.html", "provenance", parts=[await _part(opened, "provenance")])


@router.get("/evals/runs/{name}/cases", dependencies=ALLOWED)
async def list_cases(request: Request, runs: Runs, opened: Opened, count: Counted) -> Response:
    """List the cases of a count, most confident first."""
    view, cases = count
    part = await _part(opened, "cases", view=view, one=cases)
    context = {"heading": view.title_of(cases), "query": cases_query(cases)}
    return await _show(request, runs, opened, "evals_cases.html", view.facet.id, parts=[part], **context)


@router.get("/evals/runs/{name}/cases.{extension}", dependencies=ALLOWED)
async def cases_file(count: Counted, extension: TableFormat) -> Response:
    return table_file(cases_table(*count), extension)


@router.get("/evals/runs/{name}/case", dependencies=ALLOWED)
async def case(
    request: Request,
    service: Parts,
    runs: Runs,
    opened: Opened,
    case_id: Annotated[str, Query(alias="id", max_length=300)],
) -> Response:
    """Show a case: labels with rationale, text with evidence, and neighbours."""
    record = next((record for record in opened.run.records if record.case_id == case_id), None)
    if record is None:
        raise NotFound(f"This run has no case {case_id!r}.", case=case_id)
    shown = told_case(record, [view.facet for view in opened.view.facets])
    part = await _part(opened, "case", case=shown, is_open=True)
    is_here = await service.store.incidents.find_team(case_id) is not None
    context = {"heading": case_id, "record": record, "is_here": is_here}
    return await _show(request, runs, opened, "evals_case.html", "case", parts=[part], **context)


@router.get("/evals/runs/{name}/tables/{table}.{extension}", dependencies=ALLOWED)
async def table_of(opened: Opened, table: str, extension: TableFormat) -> Response:
    return table_file(find_table(tables_of(opened.view), table), extension)


@router.get("/evals/runs/{name}/plots/{plot}.{extension}", dependencies=ALLOWED)
async def plot_of(opened: Opened, plot: str, extension: ChartFormat, theme: Theme = "light") -> Response:
    return await chart_file(opened.view.charts, plot, theme, extension)


@router.get("/evals/runs/{name}/report.{extension}", dependencies=ALLOWED)
async def report(opened: Opened, extension: ReportFormat) -> Response:
    """Send the report as self-contained HTML, as JSON, or as Markdown for a pull request."""
    if extension == "html":
        return _file(opened, await asyncio.to_thread(file_of, opened.view), "report.html", "text/html")
    if extension == "json":
        return _file(opened, opened.view.report.model_dump_json(indent=2) + "\n", "report.json", "application/json")
    return _file(opened, as_markdown(opened.view.report), "report.md", "text/markdown")


@router.get("/evals/runs/{name}/all-cases.csv", dependencies=ALLOWED)
async def all_cases(opened: Opened) -> Response:
    """Send all cases of a run with their labels, one line for each facet."""
    return _file(opened, cases_csv(opened.run), "cases.csv", "text/csv")


def _facet(opened: OpenedRun, facet: str) -> FacetView:
    for view in opened.view.facets:
        if view.facet.id == facet:
            return view
    raise NotFound(f"This run does not score a facet {facet!r}.", facet=facet)


async def _part(opened: OpenedRun, part: Part, **context: Any) -> Markup:
    files = {table.id for table in tables_of(opened.view)} | {chart.id for chart in opened.view.charts}
    links = RunLinks(opened.name, files)
    # Drawing charts and redacting texts is slow.
    return await asyncio.to_thread(part_of, opened.view, part, links, **context)


async def _show(
    request: Request, runs: RunCache, opened: OpenedRun, template: str, place: str, **context: Any
) -> Response:
    """A page of a run, with the context that all of them share."""
    listing = await asyncio.to_thread(runs.listing)
    others = [run for run in listing.runs if run.info.suite.name == opened.run.suite.name and run.name != opened.name]
    return show(
        request,
        template,
        headers=NO_STORE,
        opened=opened,
        name=opened.name,
        path=run_path(opened.name),
        run_view=opened.view,
        tags=next((run.tags for run in listing.runs if run.name == opened.name), ()),
        others=others[:_OTHER_RUNS],
        tabs=_tabs(opened, place),
        place=place,
        **context,
    )


def _tabs(opened: OpenedRun, place: str) -> list[tuple[str, str, bool]]:
    """The name and path of each tab, and whether it is the current one."""
    path, facets = run_path(opened.name), [view.facet for view in opened.view.facets]
    return [
        ("Overview", path, not place),
        *((facet.name, f"{path}?{urlencode({'facet': facet.id})}", place == facet.id) for facet in facets),
        (f"Worst cases ({len(opened.view.wrong)})", f"{path}/worst", place == "worst"),
        ("Provenance", f"{path}/provenance", place == "provenance"),
    ]


def _file(opened: OpenedRun, text: str, name: str, kind: str) -> Response:
    return attachment(text, f"{kind}; charset=utf-8", f"{opened.name}-{name}")
