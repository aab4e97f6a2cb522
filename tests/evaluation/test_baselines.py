"""The baselines are scored out of fold, on the cases that the runs beside them have finished."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Run, Suite, run_suite

from .conftest import KeywordTriage, vllm_row


@pytest.fixture(scope="module")
def baselines() -> ModuleType:
    path = Path(__file__).parents[2] / "evals/bench/baselines.py"
    spec = importlib.util.spec_from_file_location("baselines", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


async def test_runs_and_baselines_are_scored_on_the_same_cases(
    baselines: ModuleType,
    write_suite: Callable[..., Suite],
    write_jsonl: Callable[..., Path],
    small: Taxonomy,
    tmp_path: Path,
) -> None:
    causes = ("power", "network", "code")
    write_jsonl(*(vllm_row(n, causes[n % 3]) for n in range(30)))
    suite = write_suite(history={"folds": 5})
    data = suite.load_data(small)
    subject = KeywordTriage(small, fails_on={"vllm-7"})
    await run_suite(suite, data, small, subject, tmp_path / "run")
    rng = np.random.default_rng(0)
    vectors = np.array([np.eye(3)[n % 3] for n in range(30)]) + rng.normal(0, 0.05, (30, 3))

    rows = baselines.measure("cause", data.cases, vectors, suite.folds_of(data.cases), [Run.read(tmp_path / "run")])

    assert [row.method for row in rows] == [*baselines.MODELS, "run"]
    assert {row.n for row in rows} == {29}
    assert all(row.kappa.value == pytest.approx(1) for row in rows)
    assert "| cause | run | 29 | 1.00 | 1.00 [0.84, 1.00] |" in baselines.markdown("t", rows)
