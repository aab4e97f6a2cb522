"""The pytest plugin: gates as tests, in a pytest session of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.evaluation.conftest import vllm_row
from tests.evaluation.records import record, write_run
from triage.evaluation import Suite

ROOT = Path(__file__).parents[2]
CAUSES = ("power", "network", "code")
GATES = ["accuracy.cause >= 0.6", "kappa.cause >= 0.99", "accuracy.cause >= 0.78"]

Session = Callable[..., pytest.RunResult]


@pytest.fixture
def session(pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Runs pytest with the plugin, as a user would, in `tmp_path`."""
    for name in [name for name in os.environ if name.startswith("TRIAGE_")]:
        monkeypatch.delenv(name)
    # The plugin is named below; where triage is installed it would be loaded a second time.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("TRIAGE_MODEL", "none")
    monkeypatch.setenv("TRIAGE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: pytester.runpytest_inprocess(
        "-p", "triage.app.pytest_plugin", "-p", "no:cacheprovider", "-rfEs", f"--rootdir={tmp_path}", *arguments
    )


@pytest.fixture
def finished(tmp_path: Path, write_suite: Callable[..., Suite]) -> Callable[..., Path]:
    """Writes the suite and a run of it with so many right cases of 100; returns the run's folder."""

    def write(right: int = 80, name: str = "run", failed: int = 0, gates: list[str] = GATES) -> Path:
        records = []
        for i in range(100):
            gold = CAUSES[i % 3]
            said = gold if (i * 7) % 100 < right else CAUSES[(i + 1) % 3]
            records.append(record(f"c{i}", [gold], [said]))
        records += [record(f"f{i}", ["code"], [], failed=True) for i in range(failed)]
        return write_run(tmp_path / name, write_suite(gates=gates), records).folder

    return write


def test_each_gate_is_a_test_that_passes_fails_or_is_skipped_with_its_reason(
    session: Session, finished: Callable[..., Path]
) -> None:
    finished()
    done = session("--triage-suite", "suite.yaml", "--triage-run", "run")

    assert done.ret == 1
    told = " ".join(done.stdout.str().split())
    assert "1 failed, 2 passed, 1 skipped" in told
    assert "kappa.cause >= 0.99: failed. kappa.cause 0.7" in told
    assert "the whole interval misses it" in told
    assert "but its interval holds the threshold; too few cases" in told
    assert "Traceback" not in told


def test_strict_takes_too_few_cases_for_a_failure(session: Session, finished: Callable[..., Path]) -> None:
    finished(gates=["accuracy.cause >= 0.8"])

    assert session("--triage-suite", "suite.yaml", "--triage-run", "run").ret == 0
    strict = session("--triage-suite", "suite.yaml", "--triage-run", "run", "--triage-strict")
    assert strict.ret == 1
    assert "inconclusive" in strict.stdout.str()


def test_a_case_that_failed_fails_a_test_of_its_own(session: Session, finished: Callable[..., Path]) -> None:
    finished(failed=2, gates=["accuracy.cause >= 0.5"])
    done = session("--triage-suite", "suite.yaml", "--triage-run", "run")

    assert "2 of 102 cases failed; f0: no answer" in done.stdout.str()
    assert "1 failed, 1 passed" in done.stdout.str()


def test_gates_run_beside_other_tests_and_can_be_chosen(
    session: Session, finished: Callable[..., Path], tmp_path: Path
) -> None:
    finished(gates=["accuracy.cause >= 0.5"])
    (tmp_path / "test_own.py").write_text("def test_own(): pass\n")
    command = ["--triage-suite", "suite.yaml", "--triage-run", "run"]

    assert "3 passed" in session(*command).stdout.str()
    assert "2 passed, 1 deselected" in session(*command, "-m", "triage", "--strict-markers").stdout.str()
    assert "2 passed" in session("suite.yaml", *command).stdout.str()
    assert "1 passed" in session("suite.yaml::accuracy.cause >= 0.5", *command).stdout.str()
    assert "1 passed" in session().stdout.str()


def test_a_difference_is_checked_against_the_base(session: Session, finished: Callable[..., Path]) -> None:
    gates = ["delta.accuracy.cause >= -0.05 vs main"]
    finished(right=95, name="before", gates=gates)
    finished(right=60, gates=gates)
    command = ["--triage-suite", "suite.yaml", "--triage-run", "run"]

    assert "There is no run 'main'" in " ".join(session(*command).stdout.str().split())
    worse = session(*command, "--triage-base", "before")
    assert worse.ret == 1
    assert "vs main: failed. delta.accuracy.cause -0.35" in worse.stdout.str()
    assert session(*command, "--triage-base", "main=run").ret == 0


def test_junit_has_the_gates_with_their_figures(
    session: Session, finished: Callable[..., Path], tmp_path: Path
) -> None:
    finished()
    session("--triage-suite", "suite.yaml", "--triage-run", "run", "--junitxml", "out.xml")
    cases = {case.get("name"): case for case in ET.parse(tmp_path / "out.xml").iter("testcase")}

    assert set(cases) == {"every case is finished", *GATES}
    assert cases["kappa.cause >= 0.99"].find("failure") is not None
    values = {one.get("name"): one.get("value") for one in cases["accuracy.cause >= 0.6"].iter("property")}
    assert values == {"value": "0.8", "n": "100"}


@pytest.mark.parametrize(
    ("suite", "told"),
    [
        ({"gates": []}, "has no gates"),
        ({"gates": ["kapa.cause >= 0.7"]}, "unknown metric 'kapa.cause'"),
    ],
)
def test_a_suite_that_can_not_be_used_is_an_error_of_collection(
    session: Session,
    write_suite: Callable[..., Suite],
    tmp_path: Path,
    suite: dict[str, list[str]],
    told: str,
) -> None:
    write_suite(gates=["kappa.cause >= 0.7"])
    text = (
        (tmp_path / "suite.yaml")
        .read_text()
        .replace("gates:\n- kappa.cause >= 0.7", f"gates: {json.dumps(suite['gates'])}")
    )
    (tmp_path / "suite.yaml").write_text(text)
    done = session("--triage-suite", "suite.yaml")

    assert done.ret == 2
    assert told in done.stdout.str()
    assert "Traceback" not in done.stdout.str()


def test_a_suite_that_is_not_there_is_a_wrong_use(session: Session) -> None:
    done = session("--triage-suite", "missing.yaml")

    assert done.ret == 4
    assert "missing.yaml" in done.stderr.str()


def test_a_run_of_another_suite_is_refused(session: Session, finished: Callable[..., Path], tmp_path: Path) -> None:
    finished(gates=["accuracy.cause >= 0.5"])
    (tmp_path / "suite.yaml").write_text((tmp_path / "suite.yaml").read_text().replace("name: small", "name: other"))
    done = session("--triage-suite", "suite.yaml", "--triage-run", "run")

    assert done.ret == 1
    assert "is a run of suite 'small', not 'other'" in done.stdout.str()


@pytest.mark.slow
def test_without_a_finished_run_the_suite_is_run_once_and_kept(
    session: Session,
    write_suite: Callable[..., Suite],
    tmp_path: Path,
) -> None:
    rows = [vllm_row(i, CAUSES[i % 3]) for i in range(30)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_suite(gates=["accuracy.cause >= 0.05", "failed.count <= 0"])
    done = session("--triage-suite", "suite.yaml")

    assert done.ret == 0, done.stdout.str()
    assert "3 passed" in done.stdout.str()
    (kept,) = (tmp_path / "runs").glob("small-*/cases.jsonl")
    assert len(kept.read_text().splitlines()) == 30


def test_the_plugin_is_announced_to_pytest_and_costs_sessions_without_it_nothing() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"triage": "triage.app.pytest_plugin"}
    code = (
        "import sys, pytest; before = set(sys.modules); "
        "import triage.app.pytest_plugin; print(*set(sys.modules) - before)"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)}
    ).stdout.split()

    assert sorted(name for name in loaded if not name.startswith("_")) == [
        "triage",
        "triage.app",
        "triage.app.pytest_plugin",
    ]
