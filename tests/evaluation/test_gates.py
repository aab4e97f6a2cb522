"""A gate passes on its interval, never on luck, and says when the cases are too few."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Run, Suite
from triage.evaluation.gate_rules import parse_gate
from triage.evaluation.gates import GateResult, check_gates

from .records import record, write_run

CAUSES = ("power", "network", "code")


@pytest.fixture
def run_of(tmp_path: Path, write_suite: Callable[..., Suite]) -> Callable[..., Run]:
    def make(name: str, right: int, wrong: int, *, failed: int = 0, shift: int = 0) -> Run:
        """So many right and wrong cases; `shift` moves which ones are wrong."""
        n = right + wrong
        records = []
        for i in range(n):
            gold = CAUSES[i % 3]
            is_wrong = (i * 7 + shift) % n < wrong
            records.append(record(f"c{i}", [gold], [CAUSES[(i + 1) % 3] if is_wrong else gold]))
        records += [record(f"f{i}", ["code"], [], failed=True) for i in range(failed)]
        return write_run(tmp_path / name, write_suite(), records)

    return make


def check(run: Run, small: Taxonomy, gate: str, **bases: Run) -> GateResult:
    return check_gates(run, small, bases, gates=[parse_gate(gate, ("cause",))])[0]


def test_the_whole_interval_decides_and_not_the_point(run_of: Callable[..., Run], small: Taxonomy) -> None:
    run = run_of("run", 80, 20)
    assert check(run, small, "kappa.cause >= 0.5").status == "passed"
    assert check(run, small, "kappa.cause >= 0.95").status == "failed"
    near = check(run, small, "kappa.cause >= 0.68")
    assert near.value is not None
    assert near.value > 0.68
    assert near.status == "inconclusive"
    assert near.needed is not None
    assert f"about {near.needed:,} like these would settle it" in near.explanation
    assert check(run, small, "kappa.cause.point >= 0.68").status == "passed"
    assert check(run, small, "kappa.cause.high >= 0.72").status == "passed"


def test_few_cases_are_never_a_false_pass(run_of: Callable[..., Run], small: Taxonomy) -> None:
    few, many = run_of("nine", 9, 3), run_of("hundreds", 300, 100)
    assert check(few, small, "accuracy.cause >= 0.6").status == "inconclusive"
    assert check(many, small, "accuracy.cause >= 0.6").status == "passed"


def test_a_handful_of_cases_that_all_go_well_pass_no_bar(run_of: Callable[..., Run], small: Taxonomy) -> None:
    few, many = run_of("few", 6, 0), run_of("many", 300, 0)
    for gate in ("accuracy.cause >= 0.9", "kappa.cause >= 0.9", "degraded.share <= 2%"):
        assert check(few, small, gate).status == "inconclusive", gate
        assert check(many, small, gate).status == "passed", gate
    gate = "delta.kappa.cause >= -0.02 vs main"
    assert check(few, small, gate, main=few).status == "inconclusive"
    assert check(many, small, gate, main=many).status == "passed"


def test_upper_bounds_and_counts(run_of: Callable[..., Run], small: Taxonomy) -> None:
    run = run_of("run", 8, 2, failed=2)
    assert check(run, small, "latency.p95 <= 8s").status == "passed"
    assert check(run, small, "latency.p95 <= 900ms").status == "failed"
    assert check(run, small, "failed.count <= 0").status == "failed"
    assert check(run, small, "failed.share <= 20%").status == "passed"
    assert check(run, small, "tokens.total <= 1_000").status == "passed"
    assert check(run, small, "tokens.total < 1_000").status == "failed"


def test_a_difference_is_tested_in_pairs(run_of: Callable[..., Run], small: Taxonomy) -> None:
    main, same, worse, other = (
        run_of("main", 240, 60),
        run_of("same", 240, 60),
        run_of("worse", 150, 150),
        run_of("other", 240, 60, shift=150),
    )
    gate = "delta.kappa.cause >= -0.02 vs main"
    assert check(same, small, gate, main=main).status == "passed"
    assert check(worse, small, gate, main=main).status == "failed"
    shuffled = check(other, small, gate, main=main)
    # As good on average, but on other cases: with so many changes a loss of 0.02 can't be ruled out.
    assert shuffled.value == pytest.approx(0.0)
    assert shuffled.status == "inconclusive"
    assert "120 of 300 cases changed" in shuffled.explanation
    assert "is not measured: set `repeats: 2`" in shuffled.explanation


def test_a_missing_base_is_told_and_no_pass(run_of: Callable[..., Run], small: Taxonomy) -> None:
    result = check(run_of("run", 80, 20), small, "delta.kappa.cause >= -0.02 vs main")
    assert result.status == "inconclusive"
    assert "`triage eval tag RUN main`" in result.explanation


def test_labels_that_change_by_themselves_widen_the_interval(
    tmp_path: Path, write_suite: Callable[..., Suite], small: Taxonomy
) -> None:
    """Two repeats that differ: their share of flips is told, and the difference between them is no gain."""
    suite, rng = write_suite(), np.random.default_rng(0)

    def noisy() -> list[object]:
        return [
            record(f"c{i}", [CAUSES[i % 3]], [CAUSES[i % 3] if rng.random() < 0.7 else CAUSES[(i + 1) % 3]])
            for i in range(200)
        ]

    run = write_run(tmp_path / "run", suite, noisy())  # type: ignore[arg-type]
    alone = check(run, small, "kappa.cause >= 0.5")
    write_run(tmp_path / "run" / "round-02", suite, noisy())  # type: ignore[arg-type]
    repeated = check(run, small, "kappa.cause >= 0.5")
    assert alone.flips is None
    assert repeated.flips == pytest.approx(0.42, abs=0.1)
    base = write_run(tmp_path / "main", suite, noisy())  # type: ignore[arg-type]
    told = check(run, small, "delta.kappa.cause >= -0.02 vs main", main=base).explanation
    assert "of the labels change between repeats of one run" in told


@pytest.mark.slow
def test_a_model_just_at_the_bar_seldom_passes(
    small: Taxonomy, tmp_path: Path, write_suite: Callable[..., Suite]
) -> None:
    """The true accuracy is the threshold: at most one trial in twenty may pass."""
    suite, rng, passed, trials = write_suite(), np.random.default_rng(3), 0, 100
    for trial in range(trials):
        records = [record(f"c{i}", ["power"], ["power" if rng.random() < 0.8 else "code"]) for i in range(120)]
        run = write_run(tmp_path / f"t{trial}", suite, records)
        result = check_gates(run, small, gates=[parse_gate("accuracy.cause >= 0.8")], resamples=400)[0]
        passed += result.status == "passed"
    assert passed / trials <= 0.05
