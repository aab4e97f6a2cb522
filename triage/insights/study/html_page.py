"""The study as one self-contained HTML file without scripts, with the incidents behind each row."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from markupsafe import Markup

import triage
from triage.insights.study.corpus import Corpus, counted
from triage.insights.study.study import Study
from triage.insights.study.study_charts import charts_of
from triage.insights.study.study_tables import tables_of
from triage.render.atomic_write import write_atomically
from triage.render.charts import as_figure, stylesheet
from triage.render.html import environment_of, replace_unprintable
from triage.render.tables import format_cell

LISTED = 40
"""The most incidents listed in a row of the page; JSON and CSV have all of them."""
_LISTED_INCIDENTS = 2_000


class Listed(NamedTuple):
    """An incident in the list at the end, to which the rows link."""

    anchor: str
    id: str
    title: str
    url: str
    began: str
    labels: str


def write_html(path: Path, study: Study, corpus: Corpus) -> Path:
    """Write the page, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, as_html(study, corpus))
    return path


def as_html(study: Study, corpus: Corpus) -> str:
    """The page; the same study gives the same page. It has titles and ids, but no write-ups."""
    tables = tables_of(study, corpus.taxonomy)
    sections = [(name, list(group)) for name, group in itertools.groupby(tables, key=lambda table: table.section)]
    charts: dict[str, list[Markup]] = {table.id: [] for table in tables}
    for table, chart in charts_of(study, corpus.taxonomy, tables):
        charts[table].append(as_figure(chart))
    listed = list(_incidents(corpus))
    template = environment_of("triage.insights.study", "triage.evaluation.reports").get_template("study.html")
    page = template.render(
        study=study,
        sections=sections,
        charts=charts,
        chart_styles=stylesheet(),
        format_cell=format_cell,
        incidents=listed,
        anchors={incident.id: incident.anchor for incident in listed},
        listed=LISTED,
        n=len(corpus.records),
        version=triage.__version__,
    )
    return replace_unprintable(page)


def _incidents(corpus: Corpus) -> Iterator[Listed]:
    for place, record in enumerate(corpus.records[:_LISTED_INCIDENTS]):
        names = [
            facet.label(label).name for facet in corpus.taxonomy.facets for label in counted(facet, record.labels)[:1]
        ]
        incident = record.incident
        url = incident.url if incident.url.startswith(("https://", "http://")) else ""
        began = f"{incident.started_at:%Y-%m-%d}" if incident.started_at else ""
        yield Listed(f"incident-{place}", record.id, incident.title, url, began, ", ".join(names))
