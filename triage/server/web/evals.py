"""Evals: the list of runs, and comparisons of runs."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Query, Request, Response
from markupsafe import Markup

from triage.domain.errors import InvalidInput, NotFound, TriageError
from triage.evaluation.reports.html import part_of
from triage.evaluation.reports.run_view import Compared
from triage.evaluation.reports.tables import comparison_tables
from triage.evaluation.run_cache import CachedRun, Listing, RunCache
from triage.evaluation.summary import Summary
from triage.render.tables import Cell, Column, Row, Table
from triage.server.web.downloads import TableFormat, find_table, table_file
from triage.server.web.eval_run import ALLOWED, RunLinks, Runs, run_path
from triage.server.web.rendering import NO_STORE, page_router, show

router = page_router()

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


@router.get("/evals", dependencies=ALLOWED)
async def evals(
    request: Request, runs: Runs, suite: Name = "", page: Annotated[int, Query(ge=1, le=1_000)] = 1
) -> Response:
    """List the runs, newest first."""
    listing = await asyncio.to_thread(runs.listing)
    found = [listed for listed in listing.runs if suite in ("", listed.info.suite.name)]
    shown = found[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    return show(
        request,
        "evals.html",
        headers=NO_STORE,
        folder=str(runs.root),
        listing=listing,
        suites=sorted({listed.info.suite.name for listed in listing.runs}),
        suite=suite,
        n=len(found),
        runs=shown,
        summaries=await asyncio.to_thread(runs.summaries, [listed.name for listed in shown]),
        page=page,
        pages=max(1, -(-len(found) // _PER_PAGE)),
        run_path=run_path,
        most=_MOST_COMPARED,
    )


@router.get("/evals/runs.{extension}", dependencies=ALLOWED)
async def runs_file(runs: Runs, extension: TableFormat) -> Response:
    listing = await asyncio.to_thread(runs.listing)
    summaries = await asyncio.to_thread(runs.summaries, [listed.name for listed in listing.runs])
    return table_file(_runs_table(listing, summaries), extension)


@router.get("/evals/runs/{name}/verdict", dependencies=ALLOWED)
async def verdict(request: Request, runs: Runs, name: str) -> Response:
    """Show the verdict of a run's gates, as a part of the list."""
    gates, why = None, ""
    try:
        gates = await runs.gates(name)
    except TriageError as error:
        why = error.detail
    return show(request, "_evals_verdict.html", headers=NO_STORE, gates=gates, why=why)


@router.get("/evals/compare", dependencies=ALLOWED)
async def compare(
    request: Request, runs: Runs, run: Annotated[Sequence[str], Query()] = (), base: Name = ""
) -> Response:
    """Compare runs on the cases that they share, with significance tests."""
    first, *others = await asyncio.to_thread(_chosen, runs, run, base)
    parts = [await _compare(runs, first.name, other.name, n) for n, other in enumerate(others, 1)]
    return show(
        request, "evals_compare.html", headers=NO_STORE, base=first, others=others, parts=parts, run_path=run_path
    )


@router.get("/evals/compare/{table}.{extension}", dependencies=ALLOWED)
async def comparison_file(runs: Runs, table: str, extension: TableFormat, base: Name, other: Name) -> Response:
    found = await runs.compare(base, other)
    return table_file(find_table(comparison_tables(found, "compared"), f"compared-{table}"), extension)


def _chosen(runs: RunCache, names: Sequence[str], base: str) -> list[CachedRun]:
    """The runs to compare, first the base, which is the oldest unless named. Raises `InvalidInput` or `NotFound`."""
    chosen = set(names) | ({base} if base else set())
    if not 2 <= len(chosen) <= _MOST_COMPARED:
        raise InvalidInput(f"Choose two to {_MOST_COMPARED} runs of the list to compare.", field="run")
    found = [listed for listed in runs.listing().runs if listed.name in chosen]
    if missing := chosen - {listed.name for listed in found}:
        raise NotFound(f"There is no run {min(missing)!r}: choose runs of the list.", run=min(missing))
    return sorted(found, key=lambda listed: (listed.name != base, listed.info.started_at))


async def _compare(runs: RunCache, base: str, other: str, number: int) -> Markup:
    found, opened = await runs.compare(base, other), await runs.open(other)
    place = f"compared{number}"
    files = {table.id for table in comparison_tables(found, place)}
    links = _ComparisonLinks(base, other, files)
    context = {"compared": Compared.of(found), "place": place, "compared_title": f"{other} against {base}"}
    return await asyncio.to_thread(part_of, opened.view, "comparison", links, **context)


def _runs_table(listing: Listing, summaries: Mapping[str, Summary | None]) -> Table:
    facets = list(dict.fromkeys(facet for listed in listing.runs for facet in listed.info.suite.facets))
    columns = [*map(Column, ("run", "suite", "began", "model", "prompts", "tags"))]
    columns += [Column("cases", "count"), Column("done", "count")]
    for facet in facets:
        columns += [Column(f"kappa.{facet}", "number"), Column("from", "number"), Column("to", "number")]
    columns += [Column("cost", "number"), Column("median seconds", "number")]
    rows = [Row(tuple(_run_cells(listed, summaries[listed.name], facets))) for listed in listing.runs]
    caption = f"{len(rows)} runs, newest first."
    return Table("runs", "Eval runs", caption, tuple(columns), tuple(rows))


def _run_cells(run: CachedRun, summary: Summary | None, facets: Sequence[str]) -> list[Cell]:
    began = run.info.started_at.isoformat(timespec="seconds")
    cells: list[Cell] = [run.name, run.info.suite.name, began, run.model, run.prompts, " ".join(run.tags)]
    cells += [summary.planned, summary.done] if summary else [None, None]
    kappas = {found.facet: found.kappa for found in summary.facets} if summary else {}
    for facet in facets:
        kappa = kappas.get(facet)
        interval = kappa.interval if kappa else None
        cells += [kappa.value if kappa else None, *((interval.low, interval.high) if interval else (None, None))]
    return [*cells, run.cost(summary), summary.median_seconds if summary else None]
