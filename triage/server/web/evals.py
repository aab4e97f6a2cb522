"""Evals: the list of runs, comparisons, and each run: gates, metrics, facets down to their cases, and its report.

Runs belong to no team and may hold incidents of all teams.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import quote, urlencode

from fastapi import Depends, Query, Response
from markupsafe import Markup

from triage.domain.errors import InvalidInput, NotFound, TriageError
from triage.evaluation.reports.facet_view import CaseList, FacetView
from triage.evaluation.reports.formats import as_markdown
from triage.evaluation.reports.html import Part, file_of, part_of
from triage.evaluation.reports.run_view import Compared
from triage.evaluation.reports.tables import cases_csv, cases_table, comparison_tables, tables_of
from triage.evaluation.reports.worst_cases import told_case
from triage.evaluation.run_cache import CachedRun, Listing, OpenedRun, RunCache
from triage.evaluation.summary import Summary
from triage.render.charts import Theme
from triage.render.tables import Cell, Row, Table, columns_of
from triage.server.web.downloads import ChartFormat, TableFormat, attachment, chart_file, find_table, table_file
from triage.server.web.rendering import page_router
from triage.server.web.visit import OverseerVisit, Visit

_OTHER_RUNS = 50

router = page_router()

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


async def _open(visit: OverseerVisit, name: str) -> OpenedRun:
    return await visit.runs.open(name)


Opened = Annotated[OpenedRun, Depends(_open)]


def _count(opened: Opened, facet: str, gold: str, predicted: str = "", outcome: str = "") -> tuple[FacetView, CaseList]:
    view = _facet(opened, facet)
    for cases in view.lists:
        given = cases.outcome if cases.predicted is None else cases.predicted
        if cases.gold == gold and given == (outcome or predicted):
            return view, cases
    raise NotFound("This run has no such cases: follow a count of the page of a facet.", facet=facet)


Counted = Annotated[tuple[FacetView, CaseList], Depends(_count)]
"""A count of a facet with its cases."""


@router.get("/evals/runs/{name}")
async def run(visit: OverseerVisit, name: str, facet: str = "", whole: Annotated[bool, Query()] = False) -> Response:
    """Show a run or one of its facets: at once if it is cached or `whole` is set, else loaded after the page."""
    if not (visit.is_part or whole or await asyncio.to_thread(visit.runs.is_at_hand, name)):
        return visit.show("evals_opening.html", name=name, path=run_path(name), facet=facet)
    opened = await visit.runs.open(name)
    if facet:
        parts = [await _part(opened, "facet", view=_facet(opened, facet))]
    else:
        gates = [await _part(opened, "gates")] if opened.view.report.gates else []
        parts = [*gates, await _part(opened, "metrics"), await _part(opened, "cost")]
    return await _show(visit, opened, "evals_run.html", facet, parts=parts)


@router.get("/evals/runs/{name}/worst")
async def worst(visit: OverseerVisit, opened: Opened) -> Response:
    """Show the most confident mistakes of a run, with text and evidence."""
    return await _show(visit, opened, "evals_run.html", "worst", parts=[await _part(opened, "worst_cases")])


@router.get("/evals/runs/{name}/provenance")
async def provenance(visit: OverseerVisit, opened: Opened) -> Response:
    return await _show(visit, opened, "evals_run.html", "provenance", parts=[await _part(opened, "provenance")])


@router.get("/evals/runs/{name}/cases")
async def list_cases(visit: OverseerVisit, opened: Opened, count: Counted) -> Response:
    """List the cases of a count, most confident first."""
    view, cases = count
    part = await _part(opened, "cases", view=view, one=cases)
    context = {"heading": view.title_of(cases), "query": cases_query(cases)}
    return await _show(visit, opened, "evals_cases.html", view.facet.id, parts=[part], **context)


@router.get("/evals/runs/{name}/cases.{extension}")
async def cases_file(count: Counted, extension: TableFormat) -> Response:
    return table_file(cases_table(*count), extension)


@router.get("/evals/runs/{name}/case")
async def case(
    visit: OverseerVisit, opened: Opened, case_id: Annotated[str, Query(alias="id", max_length=300)]
) -> Response:
    """Show a case: labels with rationale, text with evidence, and neighbours."""
    record = next((record for record in opened.run.records if record.case_id == case_id), None)
    if record is None:
        raise NotFound(f"This run has no case {case_id!r}.", case=case_id)
    shown = told_case(record, [view.facet for view in opened.view.facets])
    part = await _part(opened, "case", case=shown, is_open=True)
    is_here = await visit.store.incidents.find_team(case_id) is not None
    context = {"heading": case_id, "record": record, "is_here": is_here}
    return await _show(visit, opened, "evals_case.html", "case", parts=[part], **context)


@router.get("/evals/runs/{name}/tables/{table}.{extension}")
async def table_of(opened: Opened, table: str, extension: TableFormat) -> Response:
    return table_file(find_table(tables_of(opened.view), table), extension)


@router.get("/evals/runs/{name}/plots/{plot}.{extension}")
async def plot_of(opened: Opened, plot: str, extension: ChartFormat, theme: Theme = "light") -> Response:
    return await chart_file(opened.view.charts, plot, theme, extension)


@router.get("/evals/runs/{name}/report.{extension}")
async def report(opened: Opened, extension: ReportFormat) -> Response:
    """Send the report as self-contained HTML, as JSON, or as Markdown for a pull request."""
    if extension == "html":
        return _file(opened, await asyncio.to_thread(file_of, opened.view), "report.html", "text/html")
    if extension == "json":
        return _file(opened, opened.view.report.model_dump_json(indent=2) + "\n", "report.json", "application/json")
    return _file(opened, as_markdown(opened.view.report), "report.md", "text/markdown")


@router.get("/evals/runs/{name}/all-cases.csv")
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


async def _show(visit: Visit, opened: OpenedRun, template: str, place: str, **context: Any) -> Response:
    """A page of a run, with the context that all of them share."""
    listing = await asyncio.to_thread(visit.runs.listing)
    others = [run for run in listing.runs if run.info.suite.name == opened.run.suite.name and run.name != opened.name]
    return visit.show(
        template,
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


_PER_PAGE = 25
_MOST_COMPARED = 4

Name = Annotated[str, Query(max_length=300)]


class _ComparisonLinks(RunLinks):
    """Links of a comparison. Its cases lead to the other run."""

    def __init__(self, base: str, other: str, files: Collection[str]) -> None:
        super().__init__(other)
        self._query = urlencode({"base": base, "other": other})
        self._tables = files

    def file(self, id_: str, kind: str) -> str:
        # The id begins with its place on the page.
        name = id_.partition("-")[2]
        return f"/evals/compare/{quote(name)}.{kind}?{self._query}" if id_ in self._tables else ""


@router.get("/evals")
async def evals(visit: OverseerVisit, suite: Name = "", page: Annotated[int, Query(ge=1, le=1_000)] = 1) -> Response:
    """List the runs, newest first."""
    listing = await asyncio.to_thread(visit.runs.listing)
    runs = [listed for listed in listing.runs if suite in ("", listed.info.suite.name)]
    shown = runs[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    return visit.show(
        "evals.html",
        folder=str(visit.runs.root),
        listing=listing,
        suites=sorted({listed.info.suite.name for listed in listing.runs}),
        suite=suite,
        n=len(runs),
        runs=shown,
        summaries=await asyncio.to_thread(visit.runs.summaries, [listed.name for listed in shown]),
        page=page,
        pages=max(1, -(-len(runs) // _PER_PAGE)),
        run_path=run_path,
        most=_MOST_COMPARED,
    )


@router.get("/evals/runs.{extension}")
async def runs_file(visit: OverseerVisit, extension: TableFormat) -> Response:
    listing = await asyncio.to_thread(visit.runs.listing)
    summaries = await asyncio.to_thread(visit.runs.summaries, [listed.name for listed in listing.runs])
    return table_file(_runs_table(listing, summaries), extension)


@router.get("/evals/runs/{name}/verdict")
async def verdict(visit: OverseerVisit, name: str) -> Response:
    """Show the verdict of a run's gates, as a part of the list."""
    gates, why = None, ""
    try:
        gates = await visit.runs.gates(name)
    except TriageError as error:
        why = error.detail
    return visit.show("_evals_verdict.html", gates=gates, why=why)


@router.get("/evals/compare")
async def compare(visit: OverseerVisit, run: Annotated[Sequence[str], Query()] = (), base: Name = "") -> Response:
    """Compare runs on the cases that they share, with significance tests."""
    first, *others = await asyncio.to_thread(_chosen, visit.runs, run, base)
    parts = [await _compare(visit.runs, first.name, other.name, n) for n, other in enumerate(others, 1)]
    return visit.show("evals_compare.html", base=first, others=others, parts=parts, run_path=run_path)


@router.get("/evals/compare/{table}.{extension}")
async def comparison_file(
    visit: OverseerVisit, table: str, extension: TableFormat, base: Name, other: Name
) -> Response:
    comparison = await visit.runs.compare(base, other)
    return table_file(find_table(comparison_tables(comparison, "compared"), f"compared-{table}"), extension)


def _chosen(runs: RunCache, names: Sequence[str], base: str) -> list[CachedRun]:
    """The runs to compare, first the base, which is the oldest unless named. Raises `InvalidInput` or `NotFound`."""
    chosen = set(names) | ({base} if base else set())
    if not 2 <= len(chosen) <= _MOST_COMPARED:
        raise InvalidInput(f"Choose two to {_MOST_COMPARED} runs of the list to compare.", field="run")
    matches = [listed for listed in runs.listing().runs if listed.name in chosen]
    if missing := chosen - {listed.name for listed in matches}:
        raise NotFound(f"There is no run {min(missing)!r}: choose runs of the list.", run=min(missing))
    return sorted(matches, key=lambda listed: (listed.name != base, listed.info.started_at))


async def _compare(runs: RunCache, base: str, other: str, number: int) -> Markup:
    comparison, opened = await runs.compare(base, other), await runs.open(other)
    place = f"compared{number}"
    files = {table.id for table in comparison_tables(comparison, place)}
    links = _ComparisonLinks(base, other, files)
    context = {"compared": Compared.of(comparison), "place": place, "compared_title": f"{other} against {base}"}
    return await asyncio.to_thread(part_of, opened.view, "comparison", links, **context)


def _runs_table(listing: Listing, summaries: Mapping[str, Summary | None]) -> Table:
    facets = list(dict.fromkeys(facet for listed in listing.runs for facet in listed.info.suite.facets))
    columns = [*columns_of("run | suite | began | model | prompts | tags | cases:count | done:count")]
    for facet in facets:
        columns += columns_of(f"kappa.{facet}:number | from:number | to:number")
    columns += columns_of("cost:number | median seconds:number")
    rows = [Row(tuple(_run_cells(listed, summaries[listed.name], facets))) for listed in listing.runs]
    caption = f"{len(rows)} runs, newest first."
    return Table("runs", "Eval runs", caption, tuple(columns), tuple(rows))


def _run_cells(run: CachedRun, summary: Summary | None, facets: Sequence[str]) -> list[Cell]:
    began = run.info.started_at.isoformat(timespec="seconds")
    cells: list[Cell] = [run.name, run.info.suite.name, began, run.model, run.prompts, " ".join(run.tags)]
    cells += [summary.planned, summary.done] if summary else [None, None]
    kappas = {scores.facet: scores.kappa for scores in summary.facets} if summary else {}
    for facet in facets:
        kappa = kappas.get(facet)
        interval = kappa.interval if kappa else None
        cells += [kappa.value if kappa else None, *((interval.low, interval.high) if interval else (None, None))]
    return [*cells, run.cost(summary), summary.median_seconds if summary else None]
