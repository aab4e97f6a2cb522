"""Metrics under resampling are those of independent implementations on the resampled cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score, f1_score

from triage.agreement import Confusion, expected_calibration_error, kappa_of
from triage.domain.taxonomy import Taxonomy
from triage.evaluation.scores import Scores

from .records import record

LABELS = ("power", "network", "code")
pairs_of_labels = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=2, max_size=40)


def scores_of(taxonomy: Taxonomy, pairs: list[tuple[str, str]], **more: list[float]) -> Scores:
    records = [
        record(f"c{n}", [gold], [said] if said else [], **{name: values[n] for name, values in more.items()})  # type: ignore[arg-type]
        for n, (gold, said) in enumerate(pairs)
    ]
    return Scores.of([records], taxonomy)


@settings(max_examples=100, deadline=None)
@given(pairs=pairs_of_labels, seed=st.integers(0, 9))
def test_kappa_accuracy_and_f1_of_a_draw_are_those_of_scikit_learn(
    small_taxonomy: Taxonomy, pairs: list[tuple[str, str]], seed: int
) -> None:
    scores = scores_of(small_taxonomy, pairs)
    weights = np.random.default_rng(seed).multinomial(len(pairs), [1 / len(pairs)] * len(pairs), size=1)
    drawn = [pairs[n] for n in np.repeat(np.arange(len(pairs)), weights[0])]
    gold, said = [g for g, _ in drawn], [s for _, s in drawn]

    kappa = float(scores.values("kappa.cause", weights)[0])
    if len({*gold, *said}) == 1:
        assert math.isnan(kappa)
    else:
        assert kappa == pytest.approx(cohen_kappa_score(gold, said), abs=1e-9)
    assert scores.values("accuracy.cause", weights)[0] == pytest.approx(np.mean([g == s for g, s in drawn]), abs=1e-9)
    used = sorted({*gold, *said})
    expected = f1_score(gold, said, labels=used, average="macro", zero_division=0)
    assert scores.values("macro_f1.cause", weights)[0] == pytest.approx(expected, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(seconds=st.lists(st.floats(0, 1000), min_size=1, max_size=40), seed=st.integers(0, 9))
def test_quantiles_of_a_draw_are_those_of_the_drawn_cases(
    small_taxonomy: Taxonomy, seconds: list[float], seed: int
) -> None:
    n = len(seconds)
    scores = scores_of(small_taxonomy, [("power", "code")] * n, seconds=seconds)
    weights = np.random.default_rng(seed).multinomial(n, [1 / n] * n, size=1)
    drawn = sorted(np.repeat(seconds, weights[0]).tolist())
    assert scores.values("latency.median", weights)[0] == drawn[math.ceil(0.5 * n) - 1]
    assert scores.values("latency.p95", weights)[0] == drawn[math.ceil(0.95 * n) - 1]
    assert scores.values("latency.mean", weights)[0] == pytest.approx(np.mean(drawn))


def test_kappa_has_the_interval_that_it_has_everywhere(small_taxonomy: Taxonomy) -> None:
    pairs = [("power", "power" if n % 4 else "code") for n in range(40)] + [("code", "code")] * 20
    measured = scores_of(small_taxonomy, pairs).measure("kappa.cause", seed=3)
    confusion = Confusion.of([gold for gold, _ in pairs], [said for _, said in pairs], LABELS)
    expected = kappa_of(confusion, seed=3)
    assert measured.value == pytest.approx(expected.value)
    assert measured.interval == expected.interval


def test_an_abstention_is_no_hit_and_counts_against_coverage_alone_where_it_answered(small_taxonomy: Taxonomy) -> None:
    scores = scores_of(small_taxonomy, [("power", "power"), ("network", "network"), ("code", ""), ("code", "")])
    assert scores.measure("coverage.cause").value == 0.5
    assert scores.measure("accuracy.cause").value == 0.5
    assert scores.measure("answered_accuracy.cause").value == 1.0
    assert scores.measure("answered_kappa.cause").value == 1.0
    assert scores.measure("evidence.cause").value == 1.0


def test_the_calibration_error_is_that_of_the_stated_probabilities(small_taxonomy: Taxonomy) -> None:
    pairs = [("power", "power" if n % 3 else "code") for n in range(60)]
    sure = [0.5 + n / 150 for n in range(60)]
    right = [gold == said for gold, said in pairs]
    measured = scores_of(small_taxonomy, pairs, sure=sure).measure("ece.cause", resamples=50)
    assert measured.value == pytest.approx(expected_calibration_error(sure, right))
    assert measured.interval is not None


def test_what_does_not_exist_says_why(small_taxonomy: Taxonomy) -> None:
    scores = scores_of(small_taxonomy, [("power", "power")] * 3)
    assert "one label only" in str(scores.measure("kappa.cause"))
    assert "repeats: 2" in str(scores.measure("flips.share"))
    assert "no case is finished" in str(Scores.of([[]], small_taxonomy).measure("kappa.cause"))


def test_multi_valued_facets_are_scored_as_sets(small_taxonomy: Taxonomy) -> None:
    sets = [(("errors", "delay"), ("delay",)), (("delay",), ("delay",)), (("errors",), ("errors",))]
    records = [record(f"c{n}", gold, said, facet="symptom") for n, (gold, said) in enumerate(sets)]
    scores = Scores.of([records], small_taxonomy)
    assert scores.measure("jaccard.symptom").value == pytest.approx((0.5 + 1 + 1) / 3)
    assert scores.measure("accuracy.symptom").value == pytest.approx(2 / 3)
    errors, delay = cohen_kappa_score([1, 0, 1], [0, 0, 1]), cohen_kappa_score([1, 1, 0], [1, 1, 0])
    assert scores.measure("kappa.symptom").value == pytest.approx((errors + delay) / 2)


def test_repeats_are_averaged_and_their_flips_counted(small_taxonomy: Taxonomy) -> None:
    first = [record("a", ["power"], ["power"]), record("b", ["code"], ["code"])]
    second = [record("a", ["power"], ["code"]), record("b", ["code"], ["code"])]
    scores = Scores.of([first, second], small_taxonomy)
    assert scores.measure("accuracy.cause").value == 0.75
    assert scores.measure("flips.share").value == 0.5


def test_cases_that_one_repeat_did_not_finish_are_left_out(small_taxonomy: Taxonomy) -> None:
    first = [record("a", ["power"], ["power"]), record("b", ["code"], ["code"])]
    second = [record("a", ["power"], ["power"]), record("b", ["code"], [], failed=True)]
    assert Scores.of([first, second], small_taxonomy).n == 1
