from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from evals.bench.coverage import HIGHEST, LOWEST, Setting, cover
from triage.agreement import Interval, cohen_kappa, krippendorff_alpha
from triage.agreement.interval import Floats, bootstrap


def skewed(seed: int) -> Floats:
    return np.random.default_rng(seed).exponential(size=40)


@pytest.mark.parametrize("seed", range(20))
def test_bca_and_percentile_ends_are_those_of_scipy_for_the_same_resamples(seed: int) -> None:
    sample = skewed(seed)
    for method in ("BCa", "percentile"):
        theirs = stats.bootstrap((sample,), np.mean, method=method, n_resamples=999, rng=np.random.default_rng(seed))
        drawn = theirs.bootstrap_distribution
        ours = (
            Interval.of_bca(drawn, float(sample.mean()), sample - sample.mean(), np.ones(sample.size))
            if method == "BCa"
            else Interval.of(drawn)
        )
        assert ours is not None
        assert (ours.low, ours.high) == pytest.approx(tuple(theirs.confidence_interval), abs=1e-9)


def test_incidents_of_one_kind_are_drawn_together_without_changing_what_the_interval_says() -> None:
    values, times = np.array([0.0, 1.0, 5.0]), np.array([60, 30, 10])

    def mean(draws: Floats) -> Floats:
        return draws @ values / draws.sum(axis=1)

    def mean_of_each(draws: Floats) -> Floats:
        return draws @ np.repeat(values, times) / draws.sum(axis=1)

    together = bootstrap(mean, times, resamples=20_000)
    apart = bootstrap(mean_of_each, np.ones(100, dtype=np.int64), resamples=20_000)
    assert together is not None
    assert apart is not None
    assert (together.low, together.high) == pytest.approx((apart.low, apart.high), abs=0.03)


def test_the_interval_of_perfect_agreement_of_many_is_that_of_clopper_and_pearson() -> None:
    # Two labels used equally often: chance disagrees on half of the pairs of labels.
    interval = krippendorff_alpha([["a", "a"], ["b", "b"]] * 25).interval
    assert interval is not None
    assert interval.method == "unseen"
    unseen = 1 - proportion_confint(50, 50, method="beta")[0]
    assert (interval.low, interval.high) == pytest.approx((1 - unseen / (50 / 99), 1))
    assert "no disagreement was seen" in interval.explain()


def test_a_disagreement_too_rare_to_be_seen_widens_a_weighted_interval() -> None:
    scale = ("low", "medium", "high", "critical")
    a = ["low", "medium", "high", "critical"] * 12
    b = [*a[:-1], "high"]
    plain, bca = (
        cohen_kappa(a, b, scale=scale, weights="quadratic", method=method).interval for method in ("percentile", "bca")
    )

    assert plain is not None
    assert bca is not None
    assert bca.low < plain.low - 0.05


def test_the_seed_decides_the_interval() -> None:
    a, b = ["x", "y", "x", "y", "x"] * 8, ["x", "y", "y", "y", "x"] * 8

    assert cohen_kappa(a, b, seed=1).interval == cohen_kappa(a, b, seed=1).interval
    assert cohen_kappa(a, b, seed=1).interval != cohen_kappa(a, b, seed=2).interval


def test_methods_name_themselves() -> None:
    a, b = ["x", "y", "x", "y", "x"] * 8, ["x", "y", "y", "y", "x"] * 8

    bca, percentile = (cohen_kappa(a, b, method=method).interval for method in ("bca", "percentile"))
    assert bca is not None
    assert percentile is not None
    assert (bca.method, percentile.method) == ("bca", "percentile")
    assert "BCa bootstrap, 2,000 resamples" in bca.explain()
    assert (bca.low, bca.high) != (percentile.low, percentile.high)


def test_a_statistic_that_never_exists_has_no_interval() -> None:
    nothing = np.full(10, np.nan)

    assert Interval.of(nothing) is None
    assert Interval.of_bca(nothing, 0.5, np.array([0.0]), np.array([10.0])) is None
    assert bootstrap(lambda draws: np.full(len(draws), np.nan), np.array([5, 5])) is None


def test_resamples_that_cannot_be_told_from_the_value_give_it_back() -> None:
    same = Interval.of_bca(np.full(10, 0.5), 0.5, np.array([0.0]), np.array([10.0]))

    assert same is not None
    assert (same.low, same.high) == (0.5, 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    "setting",
    [
        Setting("kappa", 50, 4, "skewed", 0.6),
        Setting("kappa", 100, 3, "even", 0.4),
        Setting("kappa", 100, 6, "skewed", 0.8),
        Setting("alpha, nominal", 100, 4, "skewed", 0.6),
    ],
)
def test_intervals_hold_the_truth_as_often_as_they_say(setting: Setting) -> None:
    found = cover(setting, simulations=400, resamples=500, seed=1)

    # 400 simulations blur a share of 95% by 1.1 percentage points.
    assert LOWEST - 0.01 <= found.shares["bca"] <= HIGHEST + 0.01
    assert found.undefined == 0


@pytest.mark.slow
def test_bca_intervals_hold_high_agreement_that_percentile_ones_miss() -> None:
    found = cover(Setting("kappa", 50, 3, "even", 0.9), simulations=400, resamples=500, seed=1)

    assert found.shares["percentile"] < 0.93 <= found.shares["bca"]
