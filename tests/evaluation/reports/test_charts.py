"""The charts of a run: what of it is drawn, with the figures of the report, and kept as files by the command."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run as Command
from tests.cli.conftest import shared_data, triage  # noqa: F401  the command, as users run it
from tests.evaluation.records import record, write_run
from triage.evaluation import Suite
from triage.evaluation.reports.run_view import view_run

from .conftest import Shown, show


def test_each_facet_is_drawn_by_what_is_known_of_it(wild: Shown) -> None:
    charts = {chart.id: chart for chart in view_run(wild.report, wild.run, wild.taxonomy, None).charts}
    assert list(charts) == [
        *("confusion-cause", "reliability-cause", "coverage-cause"),
        *("confusion-part", "reliability-part", "coverage-part"),
        "reliability-symptom",
        "seconds",
    ]
    confusion = wild.report.summary.facets[0].confusion
    assert confusion is not None
    told = charts["confusion-cause"].alt
    pairs = [(n, gold) for gold, row in zip(confusion.labels, confusion.counts, strict=True) for n in row if n]
    assert sum(int(n) for n in re.findall(r"(?:: |, )(\d+) ", told)) == sum(n for n, _ in pairs) == confusion.n
    assert f"n = {confusion.n}." in charts["confusion-cause"].caption
    assert f"{wild.report.summary.done} cases" in charts["seconds"].caption


def test_a_run_in_which_all_failed_has_no_chart(tmp_path: Path) -> None:
    shown = show(tmp_path, count=3, fails=True)
    assert view_run(shown.report, shown.run, shown.taxonomy, None).charts == ()


@pytest.mark.slow
def test_the_command_keeps_them_as_files(
    triage: Command,  # noqa: F811
    tmp_path: Path,
    write_suite: Callable[..., Suite],
) -> None:
    causes = ("power", "network", "code")
    records = [record(f"c{n}", [causes[n % 3]], [causes[(n + (n % 4 == 0)) % 3]]) for n in range(40)]
    write_run(tmp_path / "runs" / "small-aaaa", write_suite(), records)

    done = triage("eval", "export", "small-aaaa", "pictures", "--format", "plots")

    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert {"confusion-cause-dark.png", "confusion-cause-light.svg", "seconds-light.png"} <= names
    assert len(names) % 4 == 0
