"""A run as HTML: the report in one file, and its parts for the service's pages.

The file makes no network request, needs no script, and links every count to its cases.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal, Protocol

from jinja2 import Environment
from markupsafe import Markup

import triage
from triage.domain.errors import TriageError
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.datasets import Case
from triage.evaluation.metrics import ABSTAINED
from triage.evaluation.reports import Report, figure
from triage.evaluation.reports.facet_view import CaseList, name_of
from triage.evaluation.reports.run_view import RunView, meaning_of, view_run
from triage.evaluation.reports.worst_cases import SHOWN
from triage.evaluation.runs import Run, cases_of
from triage.evaluation.scores import Measured
from triage.render.atomic_write import write_atomically
from triage.render.charts import as_figure, stylesheet
from triage.render.html import environment_of, replace_unprintable

Part = Literal["gates", "metrics", "facet", "cost", "comparison", "worst_cases", "case", "cases", "provenance"]

_LISTED_FAILURES = 50
_LISTED_CHANGES = 200


class Links(Protocol):
    """URLs of the cases behind a count, of a single case, and of a table or chart as a file; empty if there is none."""

    def cases(self, of: CaseList) -> str: ...

    def case(self, case_id: str) -> str: ...

    def file(self, id_: str, kind: str) -> str: ...


class _InFile:
    """Links within the report's file, which shows only the worst cases in full."""

    def __init__(self, view: RunView) -> None:
        self._told = {one.record.case_id: one.anchor for one in view.wrong[:SHOWN]}

    def cases(self, of: CaseList) -> str:
        return f"#{of.anchor}"

    def case(self, case_id: str) -> str:
        return f"#{self._told[case_id]}" if case_id in self._told else ""

    def file(self, id_: str, kind: str) -> str:  # noqa: ARG002 - there are none beside this one
        return ""


def write_html(path: Path, report: Report, run: Run, taxonomy: Taxonomy, *, with_text: bool = True) -> Path:
    """Write the report atomically. Without `with_text` it holds no text of write-ups."""
    cases = read_cases(run, taxonomy) if with_text else None
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, as_html(report, run, taxonomy, cases))
    return path


def read_cases(run: Run, taxonomy: Taxonomy) -> dict[str, Case] | None:
    """The run's cases with their texts; None if the data can't be read or has changed since the run."""
    try:
        return cases_of(run, taxonomy)
    except (TriageError, OSError):
        return None


def as_html(report: Report, run: Run, taxonomy: Taxonomy, cases: Mapping[str, Case] | None) -> str:
    """The report in one file, the same for the same run byte by byte. Without `cases` it has no texts."""
    return file_of(view_run(report, run, taxonomy, cases))


def file_of(view: RunView) -> str:
    """The report in one file, from a view of the run."""
    known = {"links": _InFile(view), "lists_cases": True, "version": triage.__version__}
    return _rendered("report.html", view, known)


def part_of(run: RunView, part: Part, links: Links, /, **known: Any) -> Markup:
    """One part of the report for a page. `known` has what it shows: a facet's `view`, `compared`, `place`, `case`."""
    text = _rendered(f"{part}.html", run, {"links": links, "lists_cases": False} | known)
    return Markup(text)  # noqa: S704 - all that was put into the template was escaped


def _rendered(template: str, view: RunView, known: Mapping[str, Any]) -> str:
    context = {
        **view._asdict(),
        "summary": view.report.summary,
        "views": view.facets,
        "worst": view.wrong[:SHOWN],
        "wrong": len(view.wrong),
        "listed_failures": _LISTED_FAILURES,
        "listed_changes": _LISTED_CHANGES,
        **known,
    }
    return replace_unprintable(_environment().get_template(template).render(context))


@cache
def _environment() -> Environment:
    environment = environment_of("triage.evaluation.reports")
    environment.filters |= {"figure": figure, "signed": _signed, "probability": _probability, "value": _value}
    environment.globals |= {"ABSTAINED": ABSTAINED, "name_of": name_of, "meaning_of": meaning_of}
    environment.globals |= {"as_figure": lru_cache(maxsize=64)(as_figure), "chart_styles": stylesheet()}
    return environment


def _value(one: Measured) -> str:
    """The metric's value with its unit; empty if it is undefined."""
    if one.value is None:
        return ""
    if one.is_exact:
        return f"{one.value:,.0f}" if not one.value % 1 else f"{one.value:,.2f}"
    unit = one.definition.unit
    return f"{one.value:.3g} {unit}" if unit else figure(one.value)


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+,.3f}" if abs(value) < 100 else f"{value:+,.0f}"


def _probability(value: float | None) -> str:
    """A probability with two digits, never rounded to 0 or 1."""
    if value is None:
        return "none"
    if 0 < value < 0.005:
        return "< 0.01"
    return "> 0.99" if 0.995 <= value < 1 else f"{value:.2f}"
