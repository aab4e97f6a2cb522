"""The pages below `/study`: the study, playbook candidates, radar, adoption checklist and mitigation ledger.

The study covers the labelled incidents. Playbook candidates are mitigations that were frequent, repeatable and fast.
The radar finds groups of recent incidents that no label fits. The ledger tells what was tried in past incidents of a
kind, and how often it ended them; each incident's page has it for the incident's kind.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from typing import Annotated, NamedTuple
from urllib.parse import urlencode

from fastapi import Depends, Query, Response
from markupsafe import Markup

from triage.domain.taxonomy import Facet
from triage.insights.automation import DEFAULT_CRITERIA, Opportunities, kind_name, near_miss_table, playbook_table
from triage.insights.ledger import Kind, Ledger, ledger, ledger_table
from triage.insights.radar import Radar, as_yaml, radar_table
from triage.insights.study import Study, tables_of
from triage.insights.study.checklist import Checklist, checklist_table
from triage.insights.study.study_charts import TableChart, charts_of
from triage.pipeline.mitigation import kind_facets
from triage.render.charts import Chart, Theme
from triage.render.tables import Table
from triage.server.api.access import requires
from triage.server.api.history import automation_of, ledger_of, radar_of
from triage.server.api.parameters import IncidentInPath
from triage.server.web.downloads import ChartFormat, TableFormat, attachment, chart_file, find_table, table_file
from triage.server.web.figure_cache import Measured, draw
from triage.server.web.incident import read_sheet
from triage.server.web.incident_sections import show_section
from triage.server.web.rendering import page_router
from triage.server.web.visit import LISTED, REVEALS_LABELS, OverseerVisit, ReaderVisit, Visit

router = page_router()

_STUDY_CACHE_S = 300.0
_CHECKLIST_CACHE_S = 30.0


class StudyFigures(NamedTuple):
    """A study with its tables and charts."""

    study: Study
    tables: list[Table]
    charts: list[TableChart]


FacetQuery = Annotated[str, Query(alias="facet", max_length=100)]


async def _study(visit: ReaderVisit) -> Measured[StudyFigures]:
    async def measure() -> StudyFigures:
        study = await visit.service.studies.of(visit.teams)
        tables = tables_of(study, visit.taxonomy)
        return StudyFigures(study, tables, charts_of(study, visit.taxonomy, tables))

    return await visit.figures.get("study", visit.teams, measure, _STUDY_CACHE_S)


async def _playbooks(visit: ReaderVisit) -> Measured[Opportunities]:
    service, teams = visit.service, visit.teams
    return await visit.figures.get("playbooks", teams, lambda: automation_of(service, teams, DEFAULT_CRITERIA))


async def _radar(visit: ReaderVisit, facet: FacetQuery = "") -> Measured[Radar]:
    service, teams = visit.service, visit.teams
    return await visit.figures.get("radar", (teams, facet), lambda: radar_of(service, teams, facet or None))


async def _checklist(visit: OverseerVisit) -> Measured[Checklist]:
    return await visit.figures.get("checklist", None, visit.service.studies.checklist, _CHECKLIST_CACHE_S)


MeasuredStudy = Annotated[Measured[StudyFigures], Depends(_study)]
MeasuredPlaybooks = Annotated[Measured[Opportunities], Depends(_playbooks)]
MeasuredRadar = Annotated[Measured[Radar], Depends(_radar)]
MeasuredChecklist = Annotated[Measured[Checklist], Depends(_checklist)]


@router.get("/study")
async def study(visit: ReaderVisit) -> Response:
    """Show the page. The study, which is slow to compute, is loaded after it."""
    return visit.show("study.html")


@router.get("/study/made")
async def study_figures(visit: ReaderVisit, measured: MeasuredStudy) -> Response:
    """Show the study, as a part of the page."""
    tables, charts = measured.value.tables, measured.value.charts
    return visit.show(
        "_study.html",
        study=measured.value.study,
        at=measured.at,
        sections=[(name, list(group)) for name, group in itertools.groupby(tables, key=lambda table: table.section)],
        figures=await asyncio.to_thread(_draw_charts, charts),
        visible=await visit.visible_in(*tables),
    )


@router.get("/study/study.json")
async def study_json(measured: MeasuredStudy) -> Response:
    """Send the study as JSON, with the incidents behind each figure."""
    return attachment(measured.value.study.model_dump_json(indent=1), "application/json", "study.json")


@router.get("/study/tables/{name}.{extension}")
async def study_table(measured: MeasuredStudy, name: str, extension: TableFormat) -> Response:
    return table_file(find_table(measured.value.tables, name), extension)


@router.get("/study/plots/{name}.{extension}")
async def study_chart(measured: MeasuredStudy, name: str, extension: ChartFormat, theme: Theme = "light") -> Response:
    return await chart_file((pair.chart for pair in measured.value.charts), name, theme, extension)


@router.get("/study/playbooks")
async def playbooks(visit: ReaderVisit, measured: MeasuredPlaybooks) -> Response:
    opportunities, at, _ = measured
    near = near_miss_table(opportunities, visit.taxonomy)
    visible = await visit.visible_in(playbook_table(opportunities, visit.taxonomy), near)
    return visit.show("playbooks.html", found=opportunities, at=at, kind_name=kind_name, near=near, visible=visible)


@router.get("/study/playbooks.{extension}")
async def playbooks_file(visit: ReaderVisit, measured: MeasuredPlaybooks, extension: TableFormat) -> Response:
    return table_file(playbook_table(measured.value, visit.taxonomy), extension)


@router.get("/study/near-misses.{extension}")
async def near_misses_file(visit: ReaderVisit, measured: MeasuredPlaybooks, extension: TableFormat) -> Response:
    return table_file(near_miss_table(measured.value, visit.taxonomy), extension)


@router.get("/study/radar")
async def radar(visit: ReaderVisit, facet: FacetQuery = "") -> Response:
    """Show the page. The groups, which are slow to compute, are loaded after it."""
    return visit.show("radar.html", facets=visit.taxonomy.triaged, facet=facet)


@router.get("/study/radar/found")
async def radar_groups(visit: ReaderVisit, measured: MeasuredRadar) -> Response:
    """Show the groups, as a part of the page."""
    candidates = measured.value
    ids = {id_ for group in candidates.groups for id_ in group.incidents[:LISTED]}
    ids |= {example.incident_id for group in candidates.groups for example in group.examples}
    ids |= {incident.incident_id for incident in candidates.ill_fitting[:LISTED]}
    facet, visible = visit.taxonomy.facet(candidates.facet), await visit.visible(ids)
    return visit.show("_radar.html", found=candidates, at=measured.at, facet=facet, visible=visible, listed=LISTED)


@router.get("/study/radar.yaml")
async def radar_drafts(measured: MeasuredRadar) -> Response:
    """Send the drafts as labels for a taxonomy file."""
    return attachment(as_yaml(measured.value), "application/yaml", "draft-labels.yaml")


@router.get("/study/radar.{extension}")
async def radar_file(measured: MeasuredRadar, extension: TableFormat) -> Response:
    return table_file(radar_table(measured.value), extension)


@router.get("/study/checklist")
async def checklist(visit: OverseerVisit, measured: MeasuredChecklist) -> Response:
    return visit.show("checklist.html", found=measured.value)


@router.get("/study/checklist.{extension}")
async def checklist_file(measured: MeasuredChecklist, extension: TableFormat) -> Response:
    return table_file(checklist_table(measured.value), extension)


def _draw_charts(charts: list[TableChart]) -> dict[str, list[tuple[Chart, Markup]]]:
    """Table id -> its charts, drawn."""
    figures: defaultdict[str, list[tuple[Chart, Markup]]] = defaultdict(list)
    for table, chart in charts:
        figures[table].append((chart, draw(chart)))
    return figures


class IncidentLedger(NamedTuple):
    """The facets that define the kind of an incident, coarsest first, and the ledger for some of them."""

    facets: list[Facet]
    ledger: Ledger

    @property
    def facet(self) -> str:
        """The finest facet of the ledger's kind."""
        return list(self.ledger.labels)[-1]

    @property
    def query(self) -> str:
        """The query string that selects this kind on the ledger's own page."""
        return urlencode({facet: labels[0] for facet, labels in self.ledger.labels.items()})


async def _ledger(visit: ReaderVisit, severity: Annotated[str, Query(max_length=50)] = "") -> Ledger:
    query, facets = visit.request.query_params, kind_facets(visit.taxonomy)
    chosen = {facet.id: [label for label in query.getlist(facet.id) if label] for facet in facets}
    kind = Kind.of(visit.taxonomy, {facet: labels for facet, labels in chosen.items() if labels}, severity or None)
    return await ledger_of(visit.service, visit.teams, kind)


OfChosenKind = Annotated[Ledger, Depends(_ledger)]


@router.get("/study/ledger")
async def show_ledger(visit: ReaderVisit, chosen: OfChosenKind) -> Response:
    """Show the ledger of the chosen kind."""
    table = ledger_table(chosen)
    visible, facets = await visit.visible_in(table), kind_facets(visit.taxonomy)
    query = visit.request.url.query
    return visit.show("ledger.html", found=chosen, table=table, visible=visible, facets=facets, query=query)


@router.get("/study/ledger.{extension}")
async def ledger_file(chosen: OfChosenKind, extension: TableFormat) -> Response:
    """Send the ledger of the chosen kind as a file."""
    return table_file(ledger_table(chosen), extension)


@router.get("/incidents/{incident_id}/ledger", dependencies=[requires("read"), REVEALS_LABELS])
@router.get("/incidents/{incident_id}/ledger/{facet}", dependencies=[requires("read"), REVEALS_LABELS])
async def show_incident_ledger(visit: ReaderVisit, incident_id: IncidentInPath, facet: str = "") -> Response:
    """Show the ledger of the incident's kind as defined by `facet`, or by the finest facet that has figures."""
    figures = await _of_incident(visit, incident_id, facet)
    ids = [id_ for entry in figures.ledger.entries for id_ in entry.incidents] if figures else []
    return show_section(visit, incident_id, "ledger", found=figures, visible=await visit.visible(ids))


async def _of_incident(visit: Visit, incident_id: str, facet: str) -> IncidentLedger | None:
    """None if the incident has no kind yet, or the taxonomy has no mitigations."""
    taxonomy = visit.taxonomy
    labels = (await read_sheet(visit, incident_id)).labels
    facets = [each for each in kind_facets(taxonomy) if labels.get(each.id)]
    if not facets or taxonomy.mitigation is None:
        return None
    kinds = [Kind({each.id: labels[each.id][:1] for each in facets[: n + 1]}) for n in range(len(facets))]
    records = await visit.store.gold.list_incidents(visit.teams, kinds[0].has)
    ledgers = {
        each.id: await asyncio.to_thread(ledger, taxonomy, records, kind)
        for each, kind in zip(facets, kinds, strict=True)
    }
    with_figures = [each for each in ledgers.values() if any(entry.withheld is None for entry in each.entries)]
    return IncidentLedger(facets, ledgers.get(facet) or (with_figures or list(ledgers.values())[:1])[-1])
