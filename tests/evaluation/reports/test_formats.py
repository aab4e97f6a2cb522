"""Reports for pull requests, CI systems and spreadsheets: complete, and nothing in them breaks out."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.evaluation.records import record, write_run
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Run, Suite
from triage.evaluation.reports import report_of
from triage.evaluation.reports.formats import as_junit, as_markdown
from triage.evaluation.reports.tables import cases_csv
from triage.render.markdown import plain

GATES = ["kappa.cause >= 0.2", "accuracy.cause >= 0.99", "kappa.cause >= 0.75", "delta.kappa.cause >= -0.02 vs main"]


@pytest.fixture
def runs(tmp_path: Path, write_suite: Callable[..., Suite]) -> tuple[Run, Run]:
    suite = write_suite(gates=GATES)
    causes = ("power", "network", "code")
    base, other = (
        write_run(
            tmp_path / name,
            suite,
            [record(f"c|{i}<b>", [causes[i % 3]], [causes[(i + (i % every == 0)) % 3]]) for i in range(60)]
            + [record("broken", ["code"], [], failed=True)],
        )
        for name, every in (("base", 3), ("other", 5))
    )
    return base, other


def test_markdown_tells_the_verdict_first_and_escapes_what_it_quotes(runs: tuple[Run, Run], small: Taxonomy) -> None:
    base, other = runs
    text = as_markdown(report_of(other, small, base, {"main": base}))
    lines = text.splitlines()
    assert lines[2].startswith("**Gates not met**: ")
    assert "| `kappa.cause >= 0.2` | ✅ passed |" in text
    assert "| `accuracy.cause >= 0.99` | ❌ failed |" in text
    assert "| `kappa.cause >= 0.75` | ⚠️ inconclusive |" in text
    (cause,) = report_of(other, small).summary.facets
    assert f"| cause | 60 | {plain(str(cause.kappa))} | 100% | {plain(str(cause.answered))} |" in text
    assert "### Against `base`" in text
    assert "| c\\|3&lt;b&gt; |" in text
    assert "<b>" not in text
    tables = [line for line in lines if line.startswith("| ")]
    assert all(line.count("|") - line.count("\\|") > 2 for line in tables)


def test_junit_has_a_test_case_for_every_gate(runs: tuple[Run, Run], small: Taxonomy) -> None:
    base, other = runs
    root = ET.fromstring(as_junit(report_of(other, small, base, {"main": base})))
    suite = root[0]
    assert [case.get("name") for case in suite.iter("testcase")] == ["every case is finished", *GATES]
    assert suite.get("failures") == str(len(list(suite.iter("failure")))) == "1"
    assert suite.get("errors") == str(len(list(suite.iter("error"))))
    assert "the whole interval misses it" in str(next(suite.iter("failure")).get("message"))


def test_control_characters_do_not_break_the_xml(
    tmp_path: Path, write_suite: Callable[..., Suite], small: Taxonomy
) -> None:
    failed = record("a", ["code"], [], failed=True).model_copy(update={"error": "bad \x00\x1b[31m\ud800 <tag> & more"})
    run = write_run(tmp_path / "run", write_suite(), [record("b", ["code"], ["code"])])
    run = run.model_copy(update={"records": (failed, *run.records)})
    error = next(ET.fromstring(as_junit(report_of(run, small))).iter("error"))
    assert "bad [31m <tag> & more" in str(error.get("message"))


def test_csv_has_a_line_for_each_case_and_facet(runs: tuple[Run, Run]) -> None:
    rows = list(csv.DictReader(io.StringIO(cases_csv(runs[0]))))
    assert len(rows) == 61
    assert rows[1] == {
        "case": "c|1<b>",
        "facet": "cause",
        "gold": "network",
        "predicted": "network",
        "probability": "0.8000",
        "right": "true",
        "status": "done",
        "degraded": "false",
        "seconds": "1.000",
        "error": "",
    }
    assert rows[-1]["status"] == "failed"


def test_a_spreadsheet_runs_no_text_as_a_formula(tmp_path: Path, write_suite: Callable[..., Suite]) -> None:
    for error, told in (("=cmd|'/c calc'!A1", "'=cmd|'/c calc'!A1"), ("It failed.\r=1", '"It failed.\r=1"')):
        failed = record("a", ["code"], [], failed=True).model_copy(update={"error": error})
        run = write_run(tmp_path / str(len(error)), write_suite(), [failed])
        assert cases_csv(run).endswith(f",{told}\r\n")
