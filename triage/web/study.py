"""The study of what this service has labelled: tables and charts, each with its files."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from typing import NamedTuple

from fastapi import Request, Response
from markupsafe import Markup

from triage.access import Principal
from triage.api.access import Reader, requires
from triage.api.service import Parts, Service
from triage.charts import Theme, as_figure
from triage.errors import NotFound
from triage.study import Study, tables_of
from triage.study.charts import Beside, charts_of
from triage.tables import Table, written
from triage.web.downloads import ChartFormat, TableFormat, chart_file, table_file
from triage.web.kept import Kept
from triage.web.rendering import page_router, show
from triage.web.visible import visible_behind

router = page_router()

_KEPT_S = 300.0


class Made(NamedTuple):
    """A study and what is shown of it."""

    study: Study
    tables: list[Table]
    charts: list[Beside]


_kept: Kept[Made] = Kept(_KEPT_S)


@router.get("/study", dependencies=[requires("read")])
async def study(request: Request) -> Response:
    """Show the frame; the study itself takes a moment and follows."""
    return show(request, "study.html")


@router.get("/study/made")
async def made_study(request: Request, service: Parts, who: Reader) -> Response:
    """Show the study."""
    made = await _made(service, who)
    sections = [(name, list(group)) for name, group in itertools.groupby(made.tables, key=lambda one: one.section)]
    figures = await asyncio.to_thread(_figures, made)
    return show(
        request,
        "_study.html",
        study=made.study,
        sections=sections,
        figures=figures,
        written=written,
        visible=await visible_behind(service, who, made.tables),
    )


@router.get("/study/study.json")
async def study_json(service: Parts, who: Reader) -> Response:
    """The whole study as JSON, with the incidents behind each figure."""
    made = await _made(service, who)
    headers = {"Content-Disposition": 'attachment; filename="study.json"'}
    return Response(made.study.model_dump_json(indent=1), headers=headers, media_type="application/json")


@router.get("/study/tables/{name}.{ending}")
async def study_table(service: Parts, who: Reader, name: str, ending: TableFormat) -> Response:
    """One table as a file."""
    made = await _made(service, who)
    table = next((one for one in made.tables if one.id == name), None)
    if table is None:
        raise NotFound(f"The study has no table {name!r}.", table=name)
    return table_file(table, ending)


@router.get("/study/charts/{name}-{theme}.{ending}")
async def study_chart(service: Parts, who: Reader, name: str, theme: Theme, ending: ChartFormat) -> Response:
    """One chart as a file, with its title and caption."""
    made = await _made(service, who)
    chart = next((one.chart for one in made.charts if one.chart.id == name), None)
    if chart is None:
        raise NotFound(f"The study has no chart {name!r}.", chart=name)
    return await asyncio.to_thread(chart_file, chart, theme, ending)


def _figures(made: Made) -> dict[str, list[tuple[str, str, Markup]]]:
    """Table id -> the charts beside it: the id, the title and the figure of each."""
    figures: defaultdict[str, list[tuple[str, str, Markup]]] = defaultdict(list)
    for table, chart in made.charts:
        figures[table].append((chart.id, chart.title, as_figure(chart)))
    return figures


async def _made(service: Service, who: Principal) -> Made:
    async def make() -> Made:
        taxonomy = service.casebook.taxonomy
        study = await service.studies.of(who.teams)
        tables = tables_of(study, taxonomy)
        return Made(study, tables, charts_of(study, taxonomy, tables))

    return await _kept.get((id(service.store), who.teams), make)
