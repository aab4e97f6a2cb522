"""The charts of a report."""

from __future__ import annotations

from triage.domain.taxonomy import Taxonomy
from triage.evaluation.charts import chart_seconds
from triage.evaluation.reports import Report
from triage.evaluation.reports.facet_views import FacetView, view_facet
from triage.evaluation.runs import Run
from triage.render.charts import Chart


def charts_of(report: Report, run: Run, taxonomy: Taxonomy) -> list[Chart]:
    """Confusion, reliability and coverage of each facet, and the time of a case: what of it there is."""
    charts = [chart for view in views_of(report, run, taxonomy) for chart in view.charts]
    seconds = seconds_of(report, run)
    return [*charts, seconds] if seconds else charts


def views_of(report: Report, run: Run, taxonomy: Taxonomy) -> list[FacetView]:
    """The view of each facet of the suite."""
    return [
        view_facet(taxonomy.facet(name), summary, run.records)
        for name, summary in zip(run.suite.facets, report.summary.facets, strict=True)
    ]


def seconds_of(report: Report, run: Run) -> Chart | None:
    """How long cases took; None where none is done."""
    summary = report.summary
    if summary.median_seconds is None or summary.p95_seconds is None:
        return None
    seconds = [record.seconds for record in run.records if record.status == "done"]
    return chart_seconds(seconds, {"median": summary.median_seconds, "95th percentile": summary.p95_seconds})
