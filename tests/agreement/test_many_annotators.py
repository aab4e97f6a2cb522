"""Krippendorff's alpha and Fleiss' kappa: other implementations, published examples, laws."""

from __future__ import annotations

import doctest
import itertools
import time
from collections.abc import Callable, Sequence
from types import ModuleType

import krippendorff
import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters
from statsmodels.stats.inter_rater import fleiss_kappa as statsmodels_fleiss

from triage.agreement import (
    alpha,
    fleiss_kappa,
    jaccard_distance,
    krippendorff_alpha,
    masi_distance,
    mean_agreement,
    set_alpha,
)
from triage.agreement.distance import SetDistance

approx = pytest.approx
CASES = 300
SCALE = "12345"
Row = list[str | None]
SetRow = list[frozenset[str] | None]


def units(*observers: str) -> list[Row]:
    """One row per unit from one string per observer; a dot is a gap."""
    return [[None if value == "." else value for value in unit] for unit in zip(*observers, strict=True)]


# K. Krippendorff, Computing Krippendorff's alpha-reliability (2011), section C: four observers, twelve units
FOUR_OBSERVERS = units("123321412...", "1233224125.3", ".3332342251.", "1233244125" + "1.")
# The worked example of three coders and fifteen units, after Krippendorff, Content Analysis
THREE_CODERS = units(".....3412113" + "3.3", "1.213343.......", "..21344.21133.4")


@pytest.mark.parametrize(("rows", "nominal", "ordinal"), [(FOUR_OBSERVERS, 0.743, 0.815), (THREE_CODERS, 0.691, 0.807)])
def test_alpha_of_published_examples(rows: list[Row], nominal: float, ordinal: float) -> None:
    assert krippendorff_alpha(rows, resamples=0).value == approx(nominal, abs=5e-4)
    assert krippendorff_alpha(rows, scale=SCALE, resamples=0).value == approx(ordinal, abs=5e-4)


def ratings(seed: int) -> list[Row]:
    """2 to 5 annotators with gaps on 1 to 25 incidents."""
    rng = np.random.default_rng(seed)
    n, annotators, labels = rng.integers(1, 26), rng.integers(2, 6), rng.integers(1, 6)
    hidden = rng.integers(0, labels, (n, 1))
    said = np.where(rng.random((n, annotators)) < rng.random(), hidden, rng.integers(0, labels, (n, annotators)))
    gaps = rng.random((n, annotators)) < rng.random() / 2
    return [
        [None if gap else SCALE[value] for value, gap in zip(row, missing, strict=True)]
        for row, missing in zip(said.tolist(), gaps.tolist(), strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("level", ["nominal", "ordinal"])
def test_alpha_is_that_of_the_krippendorff_package(level: str) -> None:
    compared = 0
    for seed in range(CASES):
        rows = ratings(seed)
        ours = krippendorff_alpha(rows, scale=SCALE if level == "ordinal" else None, resamples=0)
        counts = np.array([[row.count(value) for value in SCALE] for row in rows])
        if ours.value is None:
            assert np.count_nonzero(counts[counts.sum(axis=1) > 1].sum(axis=0)) <= 1
            continue
        compared += 1
        theirs = krippendorff.alpha(value_counts=counts, value_domain=[1, 2, 3, 4, 5], level_of_measurement=level)
        assert ours.value == approx(theirs, abs=1e-9), seed
    assert compared > 0.7 * CASES


def alpha_pair_by_pair(rows: Sequence[SetRow], apart: Callable[[frozenset[str], frozenset[str]], float]) -> float:
    """Alpha as its definition says, over all ordered pairs of labels."""
    kept = [[labels for labels in row if labels is not None] for row in rows]
    kept = [row for row in kept if len(row) > 1]
    everything = [labels for row in kept for labels in row]
    n = len(everything)
    within = sum(sum(itertools.starmap(apart, itertools.permutations(row, 2))) / (len(row) - 1) for row in kept) / n
    among = sum(itertools.starmap(apart, itertools.permutations(everything, 2))) / (n * (n - 1))
    return 1 - within / among


def masi_by_hand(a: frozenset[str], b: frozenset[str]) -> float:
    """Passonneau (2006): Jaccard times 1 for equal, 2/3 for nested, 1/3 for overlapping, 0 for disjoint sets."""
    kind = 1.0 if a == b else 2 / 3 if a < b or b < a else 1 / 3 if a & b else 0.0
    return 1 - kind * (len(a & b) / len(a | b) if a | b else 1)


def jaccard_by_hand(a: frozenset[str], b: frozenset[str]) -> float:
    return len(a ^ b) / len(a | b) if a | b else 0.0


@pytest.mark.slow
@pytest.mark.parametrize(("distance", "by_hand"), [("masi", masi_by_hand), ("jaccard", jaccard_by_hand)])
def test_alpha_of_sets_is_that_counted_pair_by_pair(
    distance: SetDistance, by_hand: Callable[[frozenset[str], frozenset[str]], float]
) -> None:
    compared = 0
    for seed in range(CASES):
        rng = np.random.default_rng(seed)
        share, gaps = rng.random(), rng.random() / 2
        rows: list[SetRow] = [
            [None if rng.random() < gaps else frozenset(x for x in "abcd" if rng.random() < share) for _ in range(3)]
            for _ in range(rng.integers(1, 9))
        ]
        ours = set_alpha(rows, distance=distance, resamples=0)
        if ours.value is not None:
            compared += 1
            assert ours.value == approx(alpha_pair_by_pair(rows, by_hand), abs=1e-9), seed
    assert compared > 0.8 * CASES


def test_the_distance_of_sets_is_that_of_its_definition() -> None:
    subsets = [frozenset(chosen) for size in range(4) for chosen in itertools.combinations("abc", size)]
    for a, b in itertools.product(subsets, repeat=2):
        assert masi_distance(a, b) == approx(masi_by_hand(a, b))
        assert jaccard_distance(a, b) == approx(jaccard_by_hand(a, b))
    # The example in NLTK's documentation, which rounds 2/3 to 0.67: 0.665
    assert masi_distance({"1", "2"}, {"1", "2", "3", "4"}) == approx(0.665, abs=2e-3)


@pytest.mark.parametrize("distance", ["masi", "jaccard"])
def test_sets_of_one_label_have_the_alpha_of_their_labels(distance: SetDistance) -> None:
    single = [[None if label is None else {label} for label in row] for row in FOUR_OBSERVERS]

    assert set_alpha(single, distance=distance, resamples=0).value == approx(
        krippendorff_alpha(FOUR_OBSERVERS, resamples=0).value
    )


# J. L. Fleiss (1971): six of many psychiatrists on 30 patients; depression, personality disorder, schizophrenia,
# neurosis, other
DIAGNOSES = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 "
    "00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006"
)


def test_fleiss_kappa_of_the_published_example() -> None:
    rows = [
        [label for label, n in zip("dpsno", map(int, row), strict=True) for _ in range(n)] for row in DIAGNOSES.split()
    ]
    found = fleiss_kappa(rows)

    assert found.value == approx(0.430, abs=5e-4)
    assert (found.observed, found.expected) == approx((0.5556, 0.2199), abs=5e-5)
    assert found.explain().startswith(
        "On 30 incidents two of 6 annotators agree in 56%, where chance alone would give 22%: kappa 0.43, 95% interval"
    )


@pytest.mark.slow
def test_fleiss_kappa_is_that_of_statsmodels() -> None:
    compared = 0
    for seed in range(CASES):
        rows = [["1" if label is None else label for label in row] for row in ratings(seed)]
        ours = fleiss_kappa(rows, resamples=0)
        if ours.value is None:
            assert len({label for row in rows for label in row}) == 1
            continue
        compared += 1
        assert ours.value == approx(statsmodels_fleiss(aggregate_raters(np.array(rows))[0]), abs=1e-9), seed
    assert compared > 0.7 * CASES


def test_what_does_not_exist_says_why() -> None:
    uneven = fleiss_kappa([["a", "b", None], ["a", "a", "b"]])
    assert uneven.value is None
    assert "same number of labels on every incident, and here they have 2 to 3" in uneven.explain()
    assert fleiss_kappa([["a"], ["b"]]).undefined == "every incident has one label only, so there is no pair to agree"
    assert fleiss_kappa([]).undefined == "there is nothing to compare"
    assert "only the label 'a'" in (fleiss_kappa([["a", "a"]] * 4).undefined or "")

    assert krippendorff_alpha([["a", None], [None, "b"]]).undefined == "no incident has labels of two annotators"
    assert "all labels are 'a'" in krippendorff_alpha([["a", "a"], ["a", None]]).explain()
    assert "all labels are '{a, b}'" in str(set_alpha([[{"a", "b"}, {"b", "a"}]] * 2))


def test_a_label_that_is_not_on_the_scale_is_refused() -> None:
    with pytest.raises(ValueError, match="missing: 9"):
        krippendorff_alpha([["1", "9"]], scale=SCALE)


def test_incidents_with_one_label_do_not_change_alpha() -> None:
    assert krippendorff_alpha([*FOUR_OBSERVERS, ["5", None, None, None]]) == krippendorff_alpha(FOUR_OBSERVERS)


def test_alpha_explains_itself() -> None:
    assert (
        krippendorff_alpha(FOUR_OBSERVERS)
        .explain()
        .startswith(
            "On 11 incidents with 40 labels two labels of one incident are 26% as far apart as any two: Krippendorff's "
            "alpha (nominal) 0.74, 95% interval [0."
        )
    )


def test_the_mean_of_pairs_is_the_mean_of_their_kappas_each_on_its_own_incidents() -> None:
    rng = np.random.default_rng(5)
    rows = [[("a",) if rng.random() < 0.5 else ("b", "a") for _ in range(3)] for _ in range(60)]
    rows += [[("a",), ("b",), None]] * 7  # type: ignore[list-item]
    found = mean_agreement(rows, [(0, 1), (0, 2), (1, 2)])
    each = []
    for i, j in itertools.combinations(range(3), 2):
        both = [(row[i][0], row[j][0]) for row in rows if row[i] and row[j]]
        each.append(cohen_kappa_score([a for a, _ in both], [b for _, b in both]))

    assert found.value == approx(np.mean(each), abs=1e-9)
    assert (found.n, found.pairs) == (67, 3)
    assert found.interval is not None
    assert found.interval.low < np.mean(each) < found.interval.high
    less = mean_agreement(rows, [(0, 1)], [(0, 2), (1, 2)])
    assert less.value == approx(each[0] - (each[1] + each[2]) / 2, abs=1e-9)
    assert mean_agreement([[("a",), None]], [(0, 1)]).undefined == "no incident was labelled by both of any pair"


@pytest.mark.parametrize("kind", ["alpha", "ordinal", "sets", "fleiss"])
def test_two_thousand_resamples_of_a_thousand_incidents_take_little_time(kind: str) -> None:
    rng = np.random.default_rng(0)
    said = rng.integers(0, 5, (1000, 3))
    rows = [[SCALE[value] for value in row] for row in said.tolist()]
    sets = [[frozenset(x for x in "abcdefg" if rng.random() < 0.3) for _ in range(3)] for _ in range(1000)]
    start = time.process_time()
    interval = {
        "alpha": lambda: krippendorff_alpha(rows).interval,
        "ordinal": lambda: krippendorff_alpha(rows, scale=SCALE).interval,
        "sets": lambda: set_alpha(sets).interval,
        "fleiss": lambda: fleiss_kappa(rows).interval,
    }[kind]()
    assert interval is not None
    assert interval.resamples == 2000
    assert time.process_time() - start < 2


@pytest.mark.parametrize("module", [alpha])
def test_the_examples_in_the_documentation_run(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted
    assert not result.failed
