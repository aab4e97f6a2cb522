"""A report as JUnit XML, with a test case for every gate."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from triage.evaluation.reports import Report


def as_junit(report: Report) -> str:
    """The gates as test cases. An inconclusive gate is an error, not a failure."""
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
