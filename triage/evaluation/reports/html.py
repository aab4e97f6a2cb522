"""A report as one HTML file: it asks the network for nothing, needs no script, and traces every count to its cases."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

import triage
from triage.charts import as_figure, stylesheet
from triage.errors import TriageError
from triage.evaluation.cases import Case
from triage.evaluation.gate_rules import FACET_METRICS, RUN_METRICS
from triage.evaluation.journal import CaseRecord
from triage.evaluation.metrics import Measured, Scores
from triage.evaluation.reports import Report
from triage.evaluation.reports.bars import bar_of, bars_of
from triage.evaluation.reports.charts import seconds_of, views_of
from triage.evaluation.reports.facet_views import name_of
from triage.evaluation.reports.worst_cases import SHOWN, WriteUps, worst_cases
from triage.evaluation.runs import Run, rounds_of
from triage.evaluation.scoring import ABSTAINED
from triage.evaluation.write_ups import cases_of
from triage.taxonomy import Taxonomy
from triage.whole_file import write_whole

_COSTS = (
    *("cost.total", "cost.mean", "tokens.total", "tokens.mean", "calls.total", "retries.total"),
    *("latency.median", "latency.p95", "latency.mean"),
)
_LISTED_FAILURES = 50
_LISTED_CHANGES = 200
# Characters that HTML can't hold, and halves of surrogate pairs, which UTF-8 can't.
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Origins(NamedTuple):
    """What the answers came from, as the cases' provenance has it; several where a run was taken up with changes."""

    models: tuple[str, ...]
    prompts: tuple[str, ...]
    embedders: tuple[str, ...]
    calibrators: tuple[str, ...]
    steps: tuple[tuple[str, float], ...]
    redactions: Mapping[str, int]


def write_html(path: Path, report: Report, run: Run, taxonomy: Taxonomy, *, with_text: bool = True) -> Path:
    """Write the report, whole or not at all. Without `with_text` it holds no word of any write-up."""
    cases = read_cases(run, taxonomy) if with_text else None
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, as_html(report, run, taxonomy, cases))
    return path


def read_cases(run: Run, taxonomy: Taxonomy) -> dict[str, Case] | None:
    """The run's cases with their texts; None where the data can't be read any more, or changed since the run."""
    try:
        return cases_of(run, taxonomy)
    except (TriageError, OSError):
        return None


def as_html(report: Report, run: Run, taxonomy: Taxonomy, cases: Mapping[str, Case] | None) -> str:
    """The page. Without `cases` it says that the texts are not at hand.

    The same run gives the same page, byte for byte.
    """
    facets = [taxonomy.facet(name) for name in run.suite.facets]
    views = views_of(report, run, taxonomy)
    wrong = worst_cases(run.records, facets)
    comparison = report.comparison
    page = (
        _environment()
        .get_template("report.html")
        .render(
            report=report,
            summary=report.summary,
            run=run,
            info=run.info,
            version=triage.__version__,
            rounds=len(rounds_of(run)),
            metrics=[(one, bar_of(one), meaning_of(one.metric)) for one in report.metrics],
            views=views,
            costs=_costs(run, taxonomy),
            seconds=seconds_of(report, run),
            differences=list(zip(comparison.differences, bars_of(comparison.differences), strict=True))
            if comparison
            else [],
            write_ups=WriteUps(cases or {}),
            has_text=cases is not None,
            worst=wrong[:SHOWN],
            wrong=len(wrong),
            anchors={case.record.case_id: case.anchor for case in wrong[:SHOWN]},
            origins=_origins(run.records),
            names={facet.id: facet for facet in taxonomy.facets},
            listed_failures=_LISTED_FAILURES,
            listed_changes=_LISTED_CHANGES,
        )
    )
    return _UNPRINTABLE.sub("\ufffd", page)


def meaning_of(metric: str) -> str:
    """What a metric is, in words."""
    return RUN_METRICS.get(metric) or FACET_METRICS.get(metric.partition(".")[0], "")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("triage.evaluation.reports"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"figure": _figure, "signed": _signed, "probability": _probability, "value": _value}
    environment.globals |= {"ABSTAINED": ABSTAINED, "name_of": name_of, "meaning_of": meaning_of}
    environment.globals |= {"as_figure": as_figure, "chart_styles": stylesheet()}
    return environment


def _value(one: Measured) -> str:
    """The metric's value with its unit; an empty text where it is undefined."""
    if one.value is None:
        return ""
    if one.is_exact:
        return f"{one.value:,.0f}" if not one.value % 1 else f"{one.value:,.2f}"
    return f"{one.value:.3g} s" if one.metric.startswith("latency.") else _figure(one.value)


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:,.3f}" if abs(value) < 100 else f"{value:,.0f}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+,.3f}" if abs(value) < 100 else f"{value:+,.0f}"


def _probability(value: float | None) -> str:
    """A probability; two digits, since no more of it is known. Never 1 or 0 by rounding alone."""
    if value is None:
        return "none"
    if 0 < value < 0.005:
        return "< 0.01"
    return "> 0.99" if 0.995 <= value < 1 else f"{value:.2f}"


def _costs(run: Run, taxonomy: Taxonomy) -> list[Measured]:
    scores = Scores.of_run(run, taxonomy)
    return [scores.measure(name, resamples=0) for name in _COSTS]


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
