"""Ctrl-C and kill -9 on a suite, as a user does it: to a process, against a real socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fake_openai import Answer, FakeOpenAI
from tests.processes import Forked, start_triage

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow
CASES = 40


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    shipped = (ROOT / "evals/datasets/llm_incidents/incidents.jsonl").read_text().splitlines()
    labelled = [line for line in shipped if "category" in json.loads(line)["labels"]]
    (tmp_path / "data.jsonl").write_text("\n".join(labelled[:CASES]))
    (tmp_path / "suite.yaml").write_text(
        "{name: alone, description: d, taxonomy: llm_inference, adapter: llm_incidents, data: data.jsonl, "
        "facets: [category], subject: model, history: none, concurrency: 4}"
    )
    return tmp_path / "suite.yaml"


def environment(suite: Path, endpoint: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TRIAGE_", "OPENAI_"))}
    return kept | {"NO_COLOR": "1", "TRIAGE_DATA_DIR": str(suite.parent / "data")} | endpoint


def start(suite: Path, endpoint: dict[str, str], out: str = "runs") -> Forked:
    command = ["eval", "run", str(suite), "--out", out]
    return start_triage(command, environment=environment(suite, endpoint), folder=suite.parent)


def start_installed(suite: Path, endpoint: dict[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("triage")), "eval", "run", str(suite), "--out", "runs"],
        env=environment(suite, endpoint),
        cwd=suite.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def await_requests(fake: FakeOpenAI, count: int) -> None:
    deadline = time.monotonic() + 120
    while len(fake.requests) < count:
        assert time.monotonic() < deadline, "the run does not get on"
        time.sleep(0.01)


def records(out: Path) -> list[dict[str, Any]]:
    [journal] = out.glob("alone-*/cases.jsonl")
    found = [json.loads(line) for line in journal.read_text().splitlines()]
    return [{name: one[name] for name in ("case_id", "status", "predicted", "distributions")} for one in found]


def test_ctrl_c_prints_the_scores_of_what_is_done_and_the_same_command_goes_on(
    suite: Path, endpoint: dict[str, str], fake_openai: FakeOpenAI
) -> None:
    fake_openai.otherwise = Answer(delay_s=0.1)
    process = start_installed(suite, endpoint)
    await_requests(fake_openai, 20)
    process.send_signal(signal.SIGINT)
    shown, told = process.communicate(timeout=60)

    assert process.returncode == 130
    assert f"of {CASES} cases done" in shown
    assert "kappa" in shown
    assert "The same command goes on from there" in " ".join(told.split())
    done = len(records(suite.parent / "runs"))
    assert 0 < done < CASES

    shown, told = start(suite, endpoint).communicate(timeout=120)
    assert f"{done} of them in an earlier session" in shown
    assert len(records(suite.parent / "runs")) == CASES


def test_a_second_ctrl_c_ends_at_once(suite: Path, endpoint: dict[str, str], fake_openai: FakeOpenAI) -> None:
    fake_openai.otherwise = Answer(delay_s=0.1)
    process = start(suite, endpoint)
    await_requests(fake_openai, 12)
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    process.send_signal(signal.SIGINT)

    assert process.wait(timeout=30) == 130


def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    suite: Path, endpoint: dict[str, str], fake_openai: FakeOpenAI
) -> None:
    fake_openai.otherwise = Answer(delay_s=0.1)
    for point in (6, 17, 31):
        process = start(suite, endpoint, out="killed")
        await_requests(fake_openai, point)
        process.kill()
        process.communicate()
    start(suite, endpoint, out="killed").communicate(timeout=120)
    asked = Counter(body["messages"][-1]["content"] for body in fake_openai.requests)
    fake_openai.requests.clear()
    start(suite, endpoint, out="whole").communicate(timeout=120)

    assert records(suite.parent / "killed") == records(suite.parent / "whole")
    assert len(asked) == CASES
    # Four requests are in flight at a time, so that four at most are lost to each kill.
    assert sum(asked.values()) <= CASES + 3 * 4
