"""Everything that is shown of a run, computed once: for the report in one file and for the pages of the service."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from triage.domain.taxonomy import Facet, Taxonomy
from triage.evaluation.cases import Case
from triage.evaluation.compare import Comparison, Difference
from triage.evaluation.gate_rules import FACET_METRICS, RUN_METRICS
from triage.evaluation.journal import CaseRecord
from triage.evaluation.metrics import Measured, Scores
from triage.evaluation.reports import Report
from triage.evaluation.reports.bars import Bar, bar_of, bars_of
from triage.evaluation.reports.charts import seconds_of, views_of
from triage.evaluation.reports.facet_views import FacetView
from triage.evaluation.reports.worst_cases import ToldCase, WriteUps, worst_cases
from triage.evaluation.runs import Run, RunInfo, rounds_of
from triage.render.charts import Chart

_COSTS = (
    *("cost.total", "cost.mean", "tokens.total", "tokens.mean", "calls.total", "retries.total"),
    *("latency.median", "latency.p95", "latency.mean"),
)


class Origins(NamedTuple):
    """What the answers came from, as the cases' provenance has it; several where a run was taken up with changes."""

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
    """A run as it is shown. `metrics` stand with their bar and their meaning, `wrong` are all cases with a mistake.

    `has_text` is False where the write-ups are not at hand; `names` maps the taxonomy's facets by id.
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
        """Every chart there is of the run."""
        of_facets = tuple(chart for view in self.facets for chart in view.charts)
        return (*of_facets, self.seconds) if self.seconds else of_facets


def view_run(report: Report, run: Run, taxonomy: Taxonomy, cases: Mapping[str, Case] | None) -> RunView:
    """The view of a run; without `cases` it holds no word of any write-up."""
    facets = [taxonomy.facet(name) for name in run.suite.facets]
    scores = Scores.of_run(run, taxonomy)
    return RunView(
        report=report,
        run=run,
        info=run.info,
        rounds=len(rounds_of(run)),
        metrics=tuple((one, bar_of(one), meaning_of(one.metric)) for one in report.metrics),
        facets=tuple(views_of(report, run, taxonomy)),
        costs=tuple(scores.measure(name, resamples=0) for name in _COSTS),
        seconds=seconds_of(report, run),
        compared=Compared.of(report.comparison) if report.comparison else None,
        write_ups=WriteUps(cases or {}),
        has_text=cases is not None,
        wrong=tuple(worst_cases(run.records, facets)),
        origins=_origins(run.records),
        names={facet.id: facet for facet in taxonomy.facets},
    )


def meaning_of(metric: str) -> str:
    """What a metric is, in words."""
    return RUN_METRICS.get(metric) or FACET_METRICS.get(metric.partition(".")[0], "")


def _origins(records: Sequence[CaseRecord]) -> Origins:
    known = [record.provenance for record in records if record.provenance is not None]
    steps: Counter[str] = Counter()
    redactions: Counter[str] = Counter()
    for one in known:
        steps.update(one.seconds)
        redactions.update(one.redactions)
    return Origins(
        models=_distinct(one.model or "none" for one in known),
        prompts=_distinct(name for one in known for name in one.prompts),
        embedders=_distinct(one.embedder for one in known),
        calibrators=_distinct(one.calibrator for one in known if one.calibrator),
        steps=tuple((name, total / len(known)) for name, total in steps.items()),
        redactions=dict(sorted(redactions.items())),
    )


def _distinct(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(texts))
