"""The study of what this service has labelled: tables and charts, each with its files."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from typing import NamedTuple

from fastapi import Request, Response
from markupsafe import Markup

from triage.domain.principal import Principal
from triage.insights.study import Study, tables_of
from triage.insights.study.charts import Beside, charts_of
from triage.render.charts import Chart, Theme
from triage.render.tables import Table
from triage.server.api.access import Reader, requires
from triage.server.api.service import Parts, Service
from triage.server.web.downloads import (
    ChartFormat,
    TableFormat,
    chart_file,
    find_chart,
    find_table,
    kept_file,
    table_file,
)
from triage.server.web.kept import Kept, KeptFigures, Measured
from triage.server.web.plots import drawn
from triage.server.web.rendering import page_router, show
from triage.server.web.visible import visible_behind

router = page_router()

_KEPT_S = 300.0


class Made(NamedTuple):
    """A study and what is shown of it."""

    study: Study
    tables: list[Table]
    charts: list[Beside]


@router.get("/study", dependencies=[requires("read")])
async def study(request: Request) -> Response:
    """Show the frame; the study itself takes a moment and follows."""
    return show(request, "study.html")


@router.get("/study/made")
async def made_study(request: Request, service: Parts, kept: KeptFigures, who: Reader) -> Response:
    """Show the study."""
    made, at = await _made(service, kept, who)
    sections = [(name, list(group)) for name, group in itertools.groupby(made.tables, key=lambda one: one.section)]
    figures = await asyncio.to_thread(_figures, made)
    return show(
        request,
        "_study.html",
        study=made.study,
        at=at,
        sections=sections,
        figures=figures,
        visible=await visible_behind(service, who, made.tables),
    )


@router.get("/study/study.json")
async def study_json(service: Parts, kept: KeptFigures, who: Reader) -> Response:
    """The whole study as JSON, with the incidents behind each figure."""
    made = (await _made(service, kept, who)).what
    return kept_file(made.study.model_dump_json(indent=1), "application/json", "study.json")


@router.get("/study/tables/{name}.{ending}")
async def study_table(service: Parts, kept: KeptFigures, who: Reader, name: str, ending: TableFormat) -> Response:
    """One table as a file."""
    made = (await _made(service, kept, who)).what
    return table_file(find_table(made.tables, name), ending)


@router.get("/study/plots/{name}.{ending}")
async def study_chart(
    service: Parts, kept: KeptFigures, who: Reader, name: str, ending: ChartFormat, theme: Theme = "light"
) -> Response:
    """One chart as a file, with its title and caption."""
    made = (await _made(service, kept, who)).what
    chart = find_chart((one.chart for one in made.charts), name)
    return await asyncio.to_thread(chart_file, chart, theme, ending)


def _figures(made: Made) -> dict[str, list[tuple[Chart, Markup]]]:
    """Table id -> the charts beside it, each with its figure."""
    figures: defaultdict[str, list[tuple[Chart, Markup]]] = defaultdict(list)
    for table, chart in made.charts:
        figures[table].append((chart, drawn(chart)))
    return figures


async def _made(service: Service, kept: Kept, who: Principal) -> Measured[Made]:
    async def make() -> Made:
        taxonomy = service.casebook.taxonomy
        study = await service.studies.of(who.teams)
        tables = tables_of(study, taxonomy)
        return Made(study, tables, charts_of(study, taxonomy, tables))

    return await kept.get("study", who.teams, make, _KEPT_S)
