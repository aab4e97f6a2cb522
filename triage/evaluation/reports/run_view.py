"""Everything that is shown of a run, computed once: for the report in one file and for the pages of the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from triage.agreement import Interval
from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.compare import Comparison, Difference
from triage.evaluation.datasets import Case
from triage.evaluation.journal import CaseRecord
from triage.evaluation.metrics import METRICS, find_metric
from triage.evaluation.reports import Report
from triage.evaluation.reports.charts import chart_seconds
from triage.evaluation.reports.facet_view import FacetView, view_facet
from triage.evaluation.reports.worst_cases import ToldCase, WriteUps, worst_cases
from triage.evaluation.runs import Run, RunInfo, rounds_of
from triage.evaluation.scores import Measured, Scores
from triage.evaluation.summary import Summary
from triage.render.charts import Chart


class Origins(NamedTuple):
    """What produced the answers, from the cases' provenance; several values if a resumed run changed."""

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    embedders: tuple[str, ...]
    calibrators: tuple[str, ...]
    steps: tuple[tuple[str, float], ...]
    redactions: Mapping[str, int]


class Compared(NamedTuple):
    """A comparison, with a bar for each difference that has an interval."""

    comparison: Comparison
    differences: tuple[tuple[Difference, Bar | None], ...]

    @classmethod
    def of(cls, comparison: Comparison) -> Compared:
        """The comparison with its bars."""
        found = comparison.differences
        return cls(comparison, tuple(zip(found, bars_of(found), strict=True)))


class RunView(NamedTuple):
    """A run as it is shown. `metrics` have their bar and meaning; `wrong` are all cases with a mistake.

    `has_text` is False if the write-ups are unavailable; `names` maps facet ids to facets.
    """

    report: Report
    run: Run
    info: RunInfo
    rounds: int
    metrics: tuple[tuple[Measured, Bar | None, str], ...]
    facets: tuple[FacetView, ...]
    costs: tuple[Measured, ...]
    seconds: Chart | None
    compared: Compared | None
    write_ups: WriteUps
    has_text: bool
    wrong: tuple[ToldCase, ...]
    origins: Origins
    names: Mapping[str, Facet]

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All charts of the run."""
        of_facets = tuple(chart for view in self.facets for chart in view.charts)
        return (*of_facets, self.seconds) if self.seconds else of_facets


def view_run(report: Report, run: Run, taxonomy: Taxonomy, cases: Mapping[str, Case] | None) -> RunView:
    """The view of a run. Without `cases` it holds no text of write-ups."""
    facets = [taxonomy.facet(name) for name in run.suite.facets]
    scores = Scores.of_run(run, taxonomy)
    return RunView(
        report=report,
        run=run,
        info=run.info,
        rounds=len(rounds_of(run)),
        metrics=tuple((one, bar_of(one), meaning_of(one.metric)) for one in report.metrics),
        facets=tuple(
            view_facet(facet, summary, run.records)
            for facet, summary in zip(facets, report.summary.facets, strict=True)
        ),
        costs=tuple(scores.measure(name, resamples=0) for name, metric in METRICS.items() if metric.is_cost),
        seconds=_seconds(report.summary, run),
        compared=Compared.of(report.comparison) if report.comparison else None,
        write_ups=WriteUps(cases or {}),
        has_text=cases is not None,
        wrong=tuple(worst_cases(run.records, facets)),
        origins=_origins(run.records),
        names={facet.id: facet for facet in taxonomy.facets},
    )


def meaning_of(metric: str) -> str:
    """What a metric is, in words."""
    return find_metric(metric)[0].meaning


def _origins(records: Sequence[CaseRecord]) -> Origins:
    known = [record.provenance for record in records if record.provenance is not None]
    steps: Counter[str] = Counter()
    redactions: Counter[str] = Counter()
    for one in known:
        steps.update(one.seconds)
        redactions.update(one.redactions)
    return Origins(
        models=tuple(dict.fromkeys(one.model or "none" for one in known)),
        prompts=tuple(dict.fromkeys(name for one in known for name in one.prompts)),
        embedders=tuple(dict.fromkeys(one.embedder for one in known)),
        calibrators=tuple(dict.fromkeys(one.calibrator for one in known if one.calibrator)),
        steps=tuple((name, total / len(known)) for name, total in steps.items()),
        redactions=dict(sorted(redactions.items())),
    )


class Bar(NamedTuple):
    """Positions in percent of the scale's width. `zero` is None if 0 is not inside the scale."""

    value: float
    low: float
    high: float
    zero: float | None
    scale: str


def bar_of(measured: Measured) -> Bar | None:
    """A metric on its scale: metrics of facets and shares end at 1, others above their interval."""
    if measured.value is None or measured.interval is None:
        return None
    if _is_of_facet(measured.metric) or measured.metric.endswith(".share"):
        return _bar(measured.value, measured.interval, min(0.0, -1.0 * (measured.interval.low < 0)), 1.0)
    return _bar(measured.value, measured.interval, min(0.0, measured.interval.low), measured.interval.high * 1.1)


def bars_of(differences: Sequence[Difference]) -> list[Bar | None]:
    """Differences around 0. Metrics of facets share one scale; each other metric has its own."""
    alike = [_reach(one.interval) for one in differences if _is_of_facet(one.metric) and one.interval]
    widest = max(alike, default=0.0)
    bars: list[Bar | None] = []
    for one in differences:
        if one.value is None or one.interval is None:
            bars.append(None)
            continue
        reach = (widest if _is_of_facet(one.metric) else _reach(one.interval)) * 1.1
        bars.append(_bar(one.value, one.interval, -reach, reach))
    return bars


def _is_of_facet(metric: str) -> bool:
    return find_metric(metric)[0].is_of_facet


def _reach(interval: Interval) -> float:
    return max(abs(interval.low), abs(interval.high))


def _bar(value: float, interval: Interval, start: float, end: float) -> Bar | None:
    if end <= start:
        return None

    def at(figure: float) -> float:
        return round(min(max(100 * (figure - start) / (end - start), 0.0), 100.0), 2)

    zero = at(0.0) if start < 0 < end else None
    return Bar(at(value), at(interval.low), at(interval.high), zero, f"{start:.3g} to {end:.3g}")


def _seconds(summary: Summary, run: Run) -> Chart | None:
    if summary.median_seconds is None or summary.p95_seconds is None:
        return None
    seconds = [record.seconds for record in run.records if record.status == "done"]
    return chart_seconds(seconds, {"median": summary.median_seconds, "95th percentile": summary.p95_seconds})
