"""From a finished run to a calibrator, by the function and by the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Run as Command
from tests.cli.conftest import shared_data, triage  # noqa: F401  the command, as users run it
from triage.domain.errors import InvalidInput
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Provenance
from triage.evaluation import CaseRecord, Run, RunIdentity
from triage.evaluation.calibrating import calibrate
from triage.evaluation.runs import CASES, RunInfo
from triage.evaluation.suites import Suite
from triage.pipeline.calibration import Calibrator
from triage.pipeline.decision import RULE

TAXONOMY = Taxonomy.load("engine_issues")


def write_run(
    folder: Path, *, cases: int = 60, history: str = "leave_one_out", models: tuple[str, ...] = ("m",)
) -> Path:
    """A finished run, in which the model is right in four cases of five."""
    rng = np.random.default_rng(0)
    suite = Suite(
        name="engine_issues",
        description="for tests",
        taxonomy="engine_issues",
        adapter="vllm",
        facets=("issue_type",),
        history=history,  # type: ignore[arg-type]
    )
    identity = RunIdentity(suite="s", data="d" * 64, taxonomy="t", settings={"decision": RULE})
    ids = TAXONOMY.facet("issue_type").ids
    records = []
    for n in range(cases):
        gold = str(rng.choice(ids))
        guess = gold if rng.random() < 0.8 else str(rng.choice(ids))
        said = {label: 0.8 if label == guess else 0.2 / (len(ids) - 1) for label in ids}
        provenance = Provenance(
            taxonomy=TAXONOMY.id,
            taxonomy_version=TAXONOMY.version,
            prompts=("letters@1.0.0",),
            model=models[n % len(models)],
            embedder="e",
        )
        records.append(
            CaseRecord(
                case_id=f"c{n}",
                status="done",
                gold={"issue_type": (gold,)},
                predicted={"issue_type": (guess,)},
                sources={"issue_type": {"model": said}},
                seconds=0.1,
                provenance=provenance,
            )
        )
    folder.mkdir()
    info = RunInfo(identity=identity, suite=suite, dataset="x", data_path="x", started_at="2026-01-01T00:00:00Z")  # type: ignore[arg-type]
    (folder / "run.json").write_text(info.model_dump_json())
    (folder / CASES).write_text("".join(record.model_dump_json() + "\n" for record in records))
    return folder


def test_a_calibrator_knows_what_it_was_fitted_for(tmp_path: Path) -> None:
    made = calibrate(Run.read(write_run(tmp_path / "run")), 0.8)

    about = made.circumstances
    assert (about.model, about.embedder, about.prompts) == ("m", "e", ("letters@1.0.0",))
    assert about.taxonomy == f"{TAXONOMY.id}@{TAXONOMY.version}"
    assert about.rule == RULE
    assert made.cases == made.facets["issue_type"].n == 60


def test_runs_that_can_not_be_used_say_why(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="without a history"):
        calibrate(Run.read(write_run(tmp_path / "a", history="none")), 0.8)
    with pytest.raises(InvalidInput, match="30 cases"):
        calibrate(Run.read(write_run(tmp_path / "b", cases=20)), 0.8)
    with pytest.raises(InvalidInput, match="in 2 different ways"):
        calibrate(Run.read(write_run(tmp_path / "c", models=("m", "n"))), 0.8)


@pytest.mark.slow
def test_the_command_writes_the_calibrator_and_draws_it(triage: Command, tmp_path: Path) -> None:  # noqa: F811
    write_run(tmp_path / "run")
    done = triage("calibrate", "run", "--precision", "0.9", "--out", "c.json", "--plot", "c.png")

    assert done.returncode == 0, done.stderr
    assert "issue_type, n = 60" in done.stdout
    assert "listens to" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert Calibrator.read(tmp_path / "c.json").facets["issue_type"].target_precision == 0.9
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
    as_json = json.loads(triage("calibrate", "run", "--out", "c.json", "--json").stdout)
    assert as_json["circumstances"]["model"] == "m"


@pytest.mark.slow
def test_a_plot_in_no_format_of_ours_is_refused_before_anything_is_fitted(triage: Command, tmp_path: Path) -> None:  # noqa: F811
    write_run(tmp_path / "run")
    done = triage("calibrate", "run", "--out", "c.json", "--plot", "c.gif")

    assert done.returncode == 2
    assert "end it in .svg, .png, .pdf" in done.stderr
    assert not (tmp_path / "c.json").exists()


@pytest.mark.slow
def test_the_command_names_a_folder_without_a_run(triage: Command) -> None:  # noqa: F811
    done = triage("calibrate", "nowhere")

    assert done.returncode == 2
    assert "holds no run" in done.stderr
