"""Two runs on the same cases: paired differences, McNemar, changed cases, and a verdict that doesn't oversell."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.contingency_tables import mcnemar as statsmodels_mcnemar

from triage.domain.taxonomy import Taxonomy
from triage.evaluation import Run, Suite
from triage.evaluation.compare import Comparison, compare, difference, mcnemar
from triage.evaluation.scores import Scores

from .records import record, write_run

CAUSES = ("power", "network", "code")


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_that_of_statsmodels(a: int, b: int) -> None:
    theirs = statsmodels_mcnemar([[0, a], [b, 0]], exact=True).pvalue if a + b else 1.0
    assert mcnemar(a, b) == pytest.approx(min(1.0, theirs), abs=1e-9)


@pytest.fixture
def runs(tmp_path: Path, write_suite: Callable[..., Suite]) -> Callable[..., list[Run]]:
    """Runs whose share of right answers is given, on the same seeded cases."""

    def make(*accuracies: float, n: int = 200, **more: object) -> list[Run]:
        suite = write_suite(**more)
        rng = np.random.default_rng(5)
        gold = rng.choice(CAUSES, n)
        luck = rng.random(n)
        return [
            write_run(
                tmp_path / f"run{number}",
                suite,
                [
                    record(
                        f"c{i}",
                        [str(gold[i])],
                        [str(gold[i]) if luck[i] < accuracy else CAUSES[CAUSES.index(gold[i]) - 1]],
                        seconds=1.0 + number,
                    )
                    for i in range(n)
                ],
            )
            for number, accuracy in enumerate(accuracies)
        ]

    return make


def metric(comparison: Comparison, name: str) -> float | None:
    return next(one.value for one in comparison.differences if one.metric == name)


def test_a_run_does_not_differ_from_itself(runs: Callable[..., list[Run]], small: Taxonomy) -> None:
    (run,) = runs(0.7)
    found = compare(run, run, small)
    assert {one.value for one in found.differences if one.value is not None} == {0.0}
    assert not found.changes
    assert found.tests[0].p == 1.0
    assert "No difference shown" in found.verdict
    assert "any number of cases" in found.verdict


def test_a_large_gain_is_shown_with_the_cases_that_got_better(runs: Callable[..., list[Run]], small: Taxonomy) -> None:
    base, other = runs(0.5, 0.8)
    found = compare(base, other, small)
    assert found.verdict.startswith("The other run is better: kappa.cause +0.3")
    assert found.tests[0].only_base == 0
    assert {change.verdict for change in found.changes} == {"better"}
    assert len(found.changes) == found.tests[0].only_other
    assert metric(found, "latency.median") == 1.0
    assert compare(other, base, small).verdict.startswith("The other run is worse")


def test_a_small_gain_on_few_cases_is_no_gain_and_says_how_many_cases_would_show_it(
    runs: Callable[..., list[Run]], small: Taxonomy
) -> None:
    base, other = runs(0.60, 0.63, n=60)
    found = compare(base, other, small)
    assert "No difference shown" in found.verdict
    needed = found.differences[0].needed
    assert needed is not None
    assert needed > 60
    assert f"{needed:,} such cases would show it" in found.verdict


def test_the_cases_said_to_be_needed_do_settle_it(runs: Callable[..., list[Run]], small: Taxonomy) -> None:
    base, other = runs(0.60, 0.62, n=70)
    first = compare(base, other, small).differences[0]
    assert first.needed is not None
    copies = 1 + first.needed // 70
    one, two = (
        Scores.of(
            [[r.model_copy(update={"case_id": f"{r.case_id}-{n}"}) for n in range(copies) for r in run.records]], small
        )
        for run in (base, other)
    )
    assert difference(one, two, "kappa.cause").is_shown


def test_only_shared_cases_with_the_same_gold_label_count(
    tmp_path: Path, write_suite: Callable[..., Suite], small: Taxonomy
) -> None:
    suite = write_suite()
    base = write_run(
        tmp_path / "a",
        suite,
        [record("same", ["power"], ["power"]), record("gone", ["code"], ["code"]), record("re", ["code"], ["code"])],
    )
    other = write_run(tmp_path / "b", suite, [record("same", ["power"], ["code"]), record("re", ["power"], ["code"])])
    found = compare(base, other, small)
    assert (found.n, found.only_base, found.only_other, found.gold_differs) == (1, 1, 0, 1)
    assert [change.case_id for change in found.changes] == ["same"]
    assert found.settings == ("model (was 'a', is 'b')",)


@pytest.mark.slow
def test_paired_intervals_cover_a_true_difference_of_nothing(small: Taxonomy) -> None:
    """Two equally good models: the interval of the difference holds 0 in about 95% of many trials."""
    rng, held, trials = np.random.default_rng(1), 0, 100
    for _ in range(trials):
        gold = rng.choice(CAUSES, 150)
        said = [[str(g) if rng.random() < 0.7 else str(rng.choice(CAUSES)) for g in gold] for _ in range(2)]
        one, two = (
            Scores.of(
                [[record(f"c{i}", [str(g)], [label]) for i, (g, label) in enumerate(zip(gold, labels, strict=True))]],
                small,
            )
            for labels in said
        )
        interval = difference(one, two, "kappa.cause", resamples=500).interval
        assert interval is not None
        held += interval.low <= 0 <= interval.high
    assert 0.9 <= held / trials <= 0.99
