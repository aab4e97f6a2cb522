from __future__ import annotations

import doctest

import pytest

from triage.agreement import Confusion, balance_of, cohen_kappa, interpretation, kappa_of, krippendorff_alpha, read


def table(*rows: tuple[int, ...]) -> Confusion:
    return Confusion(labels=("yes", "no", "maybe")[: len(rows)], counts=rows)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        # J. R. Landis & G. G. Koch (1977), the table of labels: each band with its upper end
        (-0.01, "poor"),
        (0.0, "slight"),
        (0.20, "slight"),
        (0.21, "fair"),
        (0.40, "fair"),
        (0.41, "moderate"),
        (0.60, "moderate"),
        (0.80, "substantial"),
        (0.81, "almost perfect"),
        (1.0, "almost perfect"),
    ],
)
def test_bands_are_those_of_landis_and_koch(value: float, name: str) -> None:
    assert interpretation.band(value) == name


def test_high_agreement_with_low_kappa_is_explained() -> None:
    # A. R. Feinstein & D. V. Cicchetti (1990)
    paradox = table((80, 10), (5, 5))
    found = read(kappa_of(paradox), balance_of(paradox))

    assert found.band == "fair"
    assert "They agree in 85%, and kappa is low all the same: 'yes' is 88% of all labels" in str(found)
    assert "chance alone gives 78% (PABAK, as if all labels were equally frequent: 0.70)" in str(found)


def test_balanced_labels_need_no_such_words() -> None:
    balanced = table((40, 9), (6, 45))

    assert read(kappa_of(balanced), balance_of(balanced)).cautions == ()


def test_an_interval_over_several_bands_is_told() -> None:
    found = read(kappa_of(table((40, 9), (6, 45))))

    assert (found.band, found.lowest) == ("substantial", "moderate")
    assert "its interval reaches from moderate to almost perfect, and more incidents would narrow it" in str(found)


def test_rare_labels_carry_a_high_kappa_alone() -> None:
    rare = table((182, 2), (1, 15))

    assert "'yes' is 92% of all labels: kappa rests on the few other incidents" in str(
        read(kappa_of(rare), balance_of(rare))
    )


def test_few_incidents_are_a_first_impression() -> None:
    assert "Only 10 incidents" in str(read(cohen_kappa(["a", "b"] * 5, ["a", "b"] * 4 + ["b", "b"])))


def test_agreement_on_one_label_cannot_be_told() -> None:
    found = read(cohen_kappa(["a"] * 60, ["a"] * 60))

    assert found.band is None
    assert "It can't be told: both sides use only the label 'a'" in str(found)
    assert "it takes incidents of other kinds" in str(found)
    assert read(krippendorff_alpha([["a", None]])).text.startswith("It can't be told: no incident has labels of two")


def test_weighted_kappa_is_not_read_as_plain() -> None:
    weighted = kappa_of(table((30, 5, 1), (4, 30, 6), (1, 4, 30)), weights="quadratic")

    assert "meant for plain kappa; quadratic weights mostly give more" in str(read(weighted))


def test_the_examples_in_the_documentation_run() -> None:
    assert not doctest.testmod(interpretation).failed
