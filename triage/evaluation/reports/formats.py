"""A report as Markdown for a comment on a pull request, and as JUnit XML."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from xml.etree import ElementTree as ET

from triage.evaluation.compare import Comparison
from triage.evaluation.reports import Report, figure
from triage.evaluation.scores import Measured
from triage.evaluation.summary import ABSTENTIONS, Summary
from triage.render.markdown import code, plain
from triage.render.quantities import percent

_SHOWN_CHANGES = 20
_MARKS = {"passed": "✅ passed", "failed": "❌ failed", "inconclusive": "⚠️ inconclusive"}


def as_markdown(report: Report) -> str:
    """The report as Markdown: the verdict first, changed cases folded. All values are escaped."""
    summary = report.summary
    parts = [f"## triage eval: {plain(summary.suite)}", "", _headline(report), ""]
    if report.gates:
        rows = [(code(one.gate), _MARKS[one.status], plain(one.explanation)) for one in report.gates]
        parts += [*_table(("gate", "result", "why"), rows), ""]
    parts += [*_agreement(summary), ""]
    figures = [(code(one.metric), *_cells(one)) for one in report.metrics]
    parts += [*_table(("metric", "value", "95% interval", "n"), figures), ""]
    if report.comparison is not None:
        parts += _compared(report.comparison)
    counts = {"failed": summary.failed, "degraded": summary.degraded, "without gold label": summary.skipped}
    troubles = ", ".join(f"{n} {word}" for word, n in counts.items() if n)
    cases = f"{summary.done} of {summary.planned} cases done" + (f" ({troubles})" if troubles else "")
    parts += [f"{cases}. Taxonomy {plain(summary.taxonomy)}. Run {code(report.run)}.", ""]
    return "\n".join(parts)


def _headline(report: Report) -> str:
    if not report.gates:
        return "This suite has no gates."
    counts: Counter[str] = Counter(gate.status for gate in report.gates)
    verdict = "**Gates met**" if report.passed else "**Gates not met**"
    return f"{verdict}: {', '.join(f'{counts[status]} {status}' for status in _MARKS if counts[status])}."


def _agreement(summary: Summary) -> list[str]:
    """Kappa of all cases, the share that was answered, and kappa of those."""
    rows = [
        (
            plain(one.facet),
            str(one.n),
            plain(str(one.kappa or "see its labels")),
            percent(one.coverage) or "",
            plain(str(one.answered or "")),
        )
        for one in summary.facets
    ]
    note = ["", ABSTENTIONS] if any(one.abstained for one in summary.facets) else []
    return [*_table(("facet", "n", "kappa [95%]", "coverage", "answered kappa [95%]"), rows), *note]


def _compared(comparison: Comparison) -> list[str]:
    rows = []
    for one in comparison.differences:
        interval = f"[{one.interval.low:+.3f}, {one.interval.high:+.3f}]" if one.interval else ""
        needed = f"{one.needed:,}" if one.needed else ""
        figures = [figure(one.base), figure(one.other), "" if one.value is None else f"{one.value:+.3g}"]
        rows.append((code(one.metric), *figures, interval, needed))
    lines = [
        f"### Against {code(comparison.base)}",
        "",
        plain(comparison.verdict),
        "",
        *_table(("metric", "base", "this run", "difference", "95% interval", "cases needed"), rows),
        "",
    ]
    lines += [
        f"- {plain(test.facet)}: right in the base alone {test.only_base}, right here alone {test.only_other}, "
        f"McNemar p = {test.p:.3f} ({test.p_holm:.3f} after Holm)"
        for test in comparison.tests
    ]
    changes = [change for change in comparison.changes if change.verdict != "otherwise wrong"]
    if changes:
        counted = Counter(change.verdict for change in changes)
        rows = [
            (plain(c.case_id), plain(c.facet), _names(c.gold), _names(c.base), _names(c.other), c.verdict)
            for c in changes[:_SHOWN_CHANGES]
        ]
        more = len(changes) - len(rows)
        lines += [
            "",
            f"<details><summary>Cases that changed: {counted['better']} better, {counted['worse']} worse</summary>",
            "",
            *_table(("case", "facet", "gold", "base", "this run", ""), rows),
            *([f"\n{more} more in the JSON report."] if more > 0 else []),
            "</details>",
        ]
    return [*lines, ""]


def _cells(one: Measured) -> tuple[str, str, str]:
    if one.value is None:
        return f"undefined: {plain(one.undefined or '')}", "", str(one.n)
    value = f"{one.value:,.0f}" if one.is_exact and not one.value % 1 else figure(one.value)
    interval = f"[{one.interval.low:.3f}, {one.interval.high:.3f}]" if one.interval else ""
    return value, interval, str(one.n)


def _names(labels: Iterable[str]) -> str:
    return plain(", ".join(labels))


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *(f"| {' | '.join(row)} |" for row in rows)]


def as_junit(report: Report) -> str:
    """The gates as test cases of JUnit XML. An inconclusive gate is an error, not a failure."""
    gates = report.gates
    suite = ET.Element(
        "testsuite",
        name=f"triage eval {report.summary.suite}",
        tests=str(len(gates) + 1),
        failures=str(sum(gate.status == "failed" for gate in gates)),
        errors=str(sum(gate.status == "inconclusive" for gate in gates) + bool(report.summary.failed)),
        skipped="0",
    )
    properties = ET.SubElement(suite, "properties")
    for metric in report.metrics:
        ET.SubElement(properties, "property", name=metric.metric, value=_printable(str(metric)))
    cases = ET.SubElement(suite, "testcase", classname=report.summary.suite, name="every case is finished")
    if report.summary.failed:
        first = next(iter(report.summary.failures.items()))
        text = _printable(f"{report.summary.failed} of {report.summary.planned} cases failed; {first[0]}: {first[1]}")
        ET.SubElement(cases, "error", message=text, type="failed cases")
    for gate in gates:
        case = ET.SubElement(suite, "testcase", classname=report.summary.suite, name=_printable(gate.gate))
        text = _printable(gate.explanation)
        match gate.status:
            case "failed":
                ET.SubElement(case, "failure", message=text, type="gate").text = text
            case "inconclusive":
                ET.SubElement(case, "error", message=text, type="inconclusive").text = text
            case _:
                ET.SubElement(case, "system-out").text = text
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _printable(text: str) -> str:
    """`text` without the characters that XML 1.0 can't hold."""
    return "".join(
        c for c in text if c in "\t\n" or (c >= " " and not 0xD800 <= ord(c) < 0xE000 and c not in "\ufffe\uffff")
    )
