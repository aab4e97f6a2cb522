"""Agreement figures against other implementations, published examples and their own laws."""

from __future__ import annotations

import doctest
import time
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics
from statsmodels.stats.inter_rater import cohens_kappa as statsmodels_kappa

from triage.agreement import Confusion, cohen_kappa, compare_sets, confusion, kappa, kappa_of, sets

approx = pytest.approx
LABELS = ("crash", "hang", "network", "storage")
pairs = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=60)
set_pairs = st.lists(
    st.tuples(st.sets(st.sampled_from(LABELS)), st.sets(st.sampled_from(LABELS))), min_size=1, max_size=30
)


def table(*rows: tuple[int, ...]) -> Confusion:
    return Confusion(labels=tuple("abcdef"[: len(rows)]), counts=rows)


def columns(rows: list[tuple[str, str]]) -> tuple[list[str], list[str]]:
    return [a for a, _ in rows], [b for _, b in rows]


@pytest.mark.parametrize(
    ("counts", "kappa"),
    [
        # J. Cohen (1960): two judges, three categories, 200 cases
        (((88, 14, 18), (10, 40, 10), (2, 6, 12)), 0.492),
        # Fleiss, Cohen & Everitt, Psychological Bulletin 72 (1969): 200 diagnoses
        (((106, 10, 4), (22, 28, 10), (2, 12, 6)), 0.429),
    ],
)
def test_kappa_of_published_examples(counts: tuple[tuple[int, ...], ...], kappa: float) -> None:
    assert kappa_of(table(*counts)).value == approx(kappa, abs=5e-4)


@given(pairs)
def test_kappa_is_that_of_scikit_learn_and_statsmodels(rows: list[tuple[str, str]]) -> None:
    a, b = columns(rows)
    ours = cohen_kappa(a, b, resamples=0)
    if ours.value is None:
        assert len({*a, *b}) == 1
        assert repr(a[0]) in (ours.undefined or "")
        return
    assert ours.value == approx(metrics.cohen_kappa_score(a, b))
    assert ours.value == approx(statsmodels_kappa(Confusion.of(a, b, LABELS).array, return_results=False))


@given(pairs)
def test_scores_are_those_of_scikit_learn(rows: list[tuple[str, str]]) -> None:
    gold, predicted = columns(rows)
    confusion = Confusion.of(gold, predicted, LABELS)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        gold, predicted, labels=list(LABELS), zero_division=np.nan
    )
    assert (confusion.array == metrics.confusion_matrix(gold, predicted, labels=list(LABELS))).all()
    assert confusion.accuracy == approx(metrics.accuracy_score(gold, predicted))
    for i, score in enumerate(confusion.scores()):
        assert score.support == support[i]
        assert score.precision == (None if np.isnan(precision[i]) else approx(precision[i]))
        assert score.recall == (None if np.isnan(recall[i]) else approx(recall[i]))
        assert (score.undefined is None) == (score.precision is not None and score.recall is not None)
        if score.f1 is not None:
            assert score.f1 == approx(f1[i])


@given(pairs)
def test_kappa_does_not_depend_on_who_is_called_first(rows: list[tuple[str, str]]) -> None:
    a, b = columns(rows)
    forth, back = cohen_kappa(a, b, resamples=0), cohen_kappa(b, a, resamples=0)
    assert (forth.value is None) == (back.value is None)
    assert forth.value is None or forth.value == approx(back.value)


@given(pairs)
def test_kappa_and_its_interval_stay_within_bounds(rows: list[tuple[str, str]]) -> None:
    kappa = cohen_kappa(*columns(rows), resamples=200)
    if kappa.value is not None:
        assert -1 <= kappa.value <= 1 + 1e-12
    if kappa.interval is not None:
        assert -1 <= kappa.interval.low <= kappa.interval.high <= 1 + 1e-12
        assert kappa.interval.undefined_resamples < kappa.interval.resamples == 200


@given(st.lists(st.sampled_from(LABELS), min_size=2).filter(lambda labels: len(set(labels)) > 1))
def test_perfect_agreement_is_one_and_its_interval_allows_for_what_few_incidents_cannot_show(labels: list[str]) -> None:
    kappa = cohen_kappa(labels, labels)
    assert kappa.value == approx(1)
    assert kappa.interval is not None
    assert kappa.interval.high == approx(1)
    assert -1 <= kappa.interval.low < 1
    assert cohen_kappa(labels * 20, labels * 20).interval.low > kappa.interval.low  # type: ignore[union-attr]


@given(pairs, st.permutations(["w", "x", "y", "z"]))
def test_names_of_labels_do_not_matter(rows: list[tuple[str, str]], names: list[str]) -> None:
    a, b = columns(rows)
    renamed = dict(zip(LABELS, names, strict=True))
    before = cohen_kappa(a, b, resamples=0)
    after = cohen_kappa([renamed[x] for x in a], [renamed[x] for x in b], resamples=0)
    assert (before.value is None) == (after.value is None)
    assert before.value is None or before.value == approx(after.value)


def test_an_interval_is_repeatable_narrows_with_n_and_is_near_the_ordinary_bootstrap() -> None:
    rng = np.random.default_rng(3)
    gold = rng.choice(LABELS, size=270)
    predicted = np.where(rng.random(270) < 0.7, gold, rng.choice(LABELS, size=270))
    ours = cohen_kappa(list(gold), list(predicted)).interval
    assert ours == cohen_kappa(list(gold), list(predicted)).interval
    draws = rng.integers(0, 270, size=(800, 270))
    ordinary = [metrics.cohen_kappa_score(gold[d], predicted[d]) for d in draws]
    assert ours is not None
    assert ours.low == approx(np.quantile(ordinary, 0.025), abs=0.02)
    assert ours.high == approx(np.quantile(ordinary, 0.975), abs=0.02)
    small = cohen_kappa(list(gold[:60]), list(predicted[:60])).interval
    assert small is not None
    assert small.high - small.low > ours.high - ours.low


def test_two_thousand_resamples_of_270_incidents_take_milliseconds() -> None:
    rng = np.random.default_rng(0)
    a, b = list(rng.choice(LABELS, 270)), list(rng.choice(LABELS, 270))
    start = time.perf_counter()
    cohen_kappa(a, b, resamples=2000)
    assert time.perf_counter() - start < 0.25


def test_undefined_kappa_says_why() -> None:
    nothing = cohen_kappa([], [])
    one_label = cohen_kappa(["crash"] * 5, ["crash"] * 5)
    assert (nothing.value, nothing.undefined) == (None, "there is nothing to compare")
    assert (one_label.value, one_label.observed) == (None, 1)
    assert "only the label 'crash'" in one_label.explain()
    assert str(one_label).startswith("undefined")


def test_kappa_explains_itself() -> None:
    kappa = kappa_of(table((88, 14, 18), (10, 40, 10), (2, 6, 12)))
    assert kappa.explain().startswith(
        "On 200 incidents the two agree in 70%, where chance alone would give 41%: kappa 0.49, 95% interval [0."
    )
    assert kappa.explain().endswith("(BCa bootstrap, 2,000 resamples).")
    assert (
        "(percentile bootstrap, 100 resamples)"
        in cohen_kappa(["a", "b", "a"], ["a", "b", "b"], method="percentile", resamples=100).explain()
    )


def test_labellings_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in length: 1 and 2"):
        cohen_kappa(["a"], ["a", "b"])
    with pytest.raises(ValueError, match="differ in length: 1 and 0"):
        compare_sets([{"a"}], [])


def test_a_matrix_can_leave_out_labels_nobody_used() -> None:
    confusion = Confusion.of(["a", "b"], ["b", "b"], ["c", "b", "a"])
    assert confusion.labels == ("c", "b", "a")
    assert confusion.used() == Confusion(labels=("b", "a"), counts=((1, 0), (1, 0)))
    assert confusion.scores()[0].undefined == "never predicted and never the gold label"


@settings(deadline=None)
@given(set_pairs)
def test_mean_jaccard_and_per_label_kappa_are_those_of_scikit_learn(rows: list[tuple[set[str], set[str]]]) -> None:
    gold, predicted = [a for a, _ in rows], [b for _, b in rows]
    ours = compare_sets(gold, predicted, LABELS, resamples=50)
    g = np.array([[label in one for label in LABELS] for one in gold])
    p = np.array([[label in one for label in LABELS] for one in predicted])
    assert ours.jaccard == approx(metrics.jaccard_score(g, p, average="samples", zero_division=1.0))
    assert ours.exact == approx(metrics.accuracy_score(g, p))
    assert compare_sets(predicted, gold, LABELS, resamples=0).jaccard == approx(ours.jaccard)
    for i, one in enumerate(ours.labels):
        if one.kappa.value is not None:
            assert one.kappa.value == approx(metrics.cohen_kappa_score(g[:, i], p[:, i]))


def test_set_agreement_without_incidents_says_so() -> None:
    empty = compare_sets([], [])
    assert (empty.jaccard, empty.undefined) == (None, "there is nothing to compare")


@pytest.mark.parametrize("module", [confusion, kappa, sets], ids=["confusion", "kappa", "sets"])
def test_the_examples_in_the_documentation_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
