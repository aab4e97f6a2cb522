"""Weighted kappa, kappa of single labels and what distorts kappa: other implementations, published examples, laws."""

from __future__ import annotations

import doctest
from types import ModuleType

import numpy as np
import pytest
from sklearn import metrics

from triage.agreement import Confusion, balance, balance_of, cohen_kappa, distance, kappa_by_label, kappa_of
from triage.agreement.distance import Weights

approx = pytest.approx
SCALE = ("low", "medium", "high", "critical", "fatal")
CASES = 300


def table(*rows: tuple[int, ...]) -> Confusion:
    return Confusion(labels=tuple("abcdef"[: len(rows)]), counts=rows)


def labellings(seed: int) -> tuple[list[str], list[str]]:
    """Two labellings that agree more or less, of 1 to 40 incidents, on some labels of the scale."""
    rng = np.random.default_rng(seed)
    n, used = rng.integers(1, 41), rng.choice(SCALE, rng.integers(1, 6), replace=False)
    a = rng.choice(used, n)
    b = np.where(rng.random(n) < rng.random(), a, rng.choice(used, n))
    return a.tolist(), b.tolist()


# Two dermatologists; SAS/STAT, the FREQ procedure, "Agreement study": kappa 0.3449, weighted 0.5082 (linear weights)
DERMATOLOGISTS = table((10, 4, 1, 0), (5, 10, 12, 2), (2, 4, 12, 5), (0, 2, 6, 13))


@pytest.mark.parametrize(("weights", "kappa"), [(None, 0.3449), ("linear", 0.5082)])
def test_weighted_kappa_of_a_published_example(weights: Weights | None, kappa: float) -> None:
    assert kappa_of(DERMATOLOGISTS, weights=weights, resamples=0).value == approx(kappa, abs=5e-5)


@pytest.mark.slow
@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_is_that_of_scikit_learn_with_any_weights(weights: Weights | None) -> None:
    compared = 0
    for seed in range(CASES):
        a, b = labellings(seed)
        ours = cohen_kappa(a, b, scale=SCALE, weights=weights, resamples=0)
        if ours.value is None:
            assert len({*a, *b}) == 1
            continue
        compared += 1
        theirs = metrics.cohen_kappa_score(a, b, labels=list(SCALE), weights=weights)
        assert ours.value == approx(theirs, abs=1e-9), seed
    assert compared > 0.8 * CASES


def test_quadratic_weights_give_the_concordance_of_the_places_on_the_scale() -> None:
    # J. L. Fleiss & J. Cohen, Educational and Psychological Measurement 33 (1973)
    for seed in range(100):
        a, b = labellings(seed)
        x, y = (np.array([SCALE.index(label) for label in side]) for side in (a, b))
        ours = cohen_kappa(a, b, scale=SCALE, weights="quadratic", resamples=0).value
        if ours is not None:
            covariance = np.mean((x - x.mean()) * (y - y.mean()))
            assert ours == approx(2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2), abs=1e-9)


def test_weights_need_the_order_of_the_labels() -> None:
    with pytest.raises(ValueError, match="missing: high"):
        cohen_kappa(["low", "high"], ["low", "low"], scale=["low", "medium"], weights="linear")


def test_weighted_kappa_says_that_it_is() -> None:
    explained = kappa_of(DERMATOLOGISTS, weights="quadratic").explain()

    assert "disagreements counted by their distance" in explained
    assert "kappa with quadratic weights 0.66, 95% interval [0." in explained
    assert (
        cohen_kappa(["a"], ["a"], scale="ab", weights="linear")
        .explain()
        .startswith("Kappa with linear weights is undefined: both sides use only the label 'a'")
    )


@pytest.mark.slow
def test_kappa_of_each_label_is_that_of_scikit_learn_on_it_alone() -> None:
    compared = 0
    for seed in range(CASES // 2):
        a, b = labellings(seed)
        for one in kappa_by_label(Confusion.of(a, b), resamples=0):
            x, y = ([label == one.label for label in side] for side in (a, b))
            if one.kappa.value is None:
                assert all(x + y)
            else:
                compared += 1
                assert one.kappa.value == approx(metrics.cohen_kappa_score(x, y), abs=1e-9)
    assert compared > CASES


@pytest.mark.parametrize(
    ("counts", "kappa", "prevalence", "bias", "pabak"),
    [
        # J. Sim & C. C. Wright, Physical Therapy 85 (2005): two clinicians on 39 patients
        (((22, 2), (4, 11)), 0.67, 0.28, -0.05, 0.69),
        # A. R. Feinstein & D. V. Cicchetti, Journal of Clinical Epidemiology 43 (1990): both agree in 85%
        (((40, 9), (6, 45)), 0.70, -0.05, 0.03, 0.70),
        (((80, 10), (5, 5)), 0.32, 0.75, 0.05, 0.70),
    ],
)
def test_prevalence_bias_and_pabak_of_published_examples(
    counts: tuple[tuple[int, ...], ...], kappa: float, prevalence: float, bias: float, pabak: float
) -> None:
    found = balance_of(table(*counts))

    assert kappa_of(table(*counts), resamples=0).value == approx(kappa, abs=5e-3)
    assert (found.prevalence, found.bias, found.pabak) == approx((prevalence, bias, pabak), abs=5e-3)


def test_kappa_follows_from_pabak_prevalence_and_bias() -> None:
    # T. Byrt, J. Bishop & J. B. Carlin (1993): kappa = (PABAK - PI^2 + BI^2) / (1 - PI^2 + BI^2)
    for seed in range(CASES):
        counts = np.random.default_rng(seed).integers(0, 30, (2, 2))
        one = table(*map(tuple, counts.tolist()))
        found, kappa = balance_of(one), kappa_of(one, resamples=0).value
        if kappa is not None:
            assert found.prevalence is not None
            assert found.bias is not None
            assert found.pabak is not None
            spread = found.bias**2 - found.prevalence**2
            assert kappa == approx((found.pabak + spread) / (1 + spread), abs=1e-9)


def test_more_than_two_labels_have_a_pabak_and_no_prevalence_and_say_so() -> None:
    found = balance_of(DERMATOLOGISTS)

    assert found.pabak == approx((4 * 45 / 88 - 1) / 3)
    assert (found.prevalence, found.bias) == (None, None)
    assert found.undefined == "prevalence and bias are defined for two labels, and here there are 4"
    assert (found.common, found.share) == ("c", approx((23 + 31) / 176))
    assert balance_of(table((0, 0), (0, 0))).undefined == "there is nothing to compare"


@pytest.mark.parametrize("module", [balance, distance])
def test_the_examples_in_the_documentation_run(module: ModuleType) -> None:
    assert not doctest.testmod(module).failed
