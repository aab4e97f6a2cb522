"""How far the annotators of the labels studied agree."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.insights.study.conftest import TAXONOMY
from triage.agreement import cohen_kappa
from triage.domain.annotation import Annotation, Origin
from triage.insights.study.label_agreement import MOST_PAIRS, label_agreement

KINDS = ("infrastructure", "operational", "inference_engine")


def said(
    who: str, kinds: Sequence[str], facet: str = "category", origin: Origin = "human", *, is_gold: bool = False
) -> list[Annotation]:
    """What one annotator said of incidents i0, i1 and so on."""
    return [
        Annotation(
            incident_id=f"i{n}",
            facet=facet,
            labels=tuple(kind.split("+")),
            annotator=who,
            origin=origin,
            is_gold=is_gold,
        )
        for n, kind in enumerate(kinds)
    ]


ADA = [KINDS[n % 3] for n in range(30)]
BOB = [KINDS[n % 3] if n % 5 else KINDS[0] for n in range(30)]


def test_two_people_have_the_kappa_of_the_two_with_its_interval() -> None:
    (found,) = label_agreement([*said("ada", ADA), *said("bob", BOB)], TAXONOMY, resamples=200)
    (pair,) = found.pairs
    assert pair.value == cohen_kappa(ADA, BOB, resamples=0).value == found.people.value
    assert pair.interval is not None
    assert pair.interval.low < (pair.value or 0) < pair.interval.high
    assert (found.n_people, found.overlap, pair.n, pair.kind) == (2, 30, 30, "people")


def test_several_people_have_a_mean_and_the_pairs_with_the_most_incidents() -> None:
    everyone = [one for n in range(6) for one in said(f"person {n}", ADA[: 30 - n])]
    (found,) = label_agreement(everyone, TAXONOMY, resamples=50)
    assert (found.n_people, found.n_pairs, len(found.pairs)) == (6, 15, MOST_PAIRS)
    assert found.people.value == pytest.approx(1.0)
    assert [pair.n for pair in found.pairs] == sorted((pair.n for pair in found.pairs), reverse=True)


def test_a_model_is_held_against_gold_labels_of_people_and_is_nobody_s_ceiling() -> None:
    annotations = [*said("ada", ADA, is_gold=True), *said("model:m@1", BOB, origin="model")]
    (found,) = label_agreement(annotations, TAXONOMY, resamples=50)
    assert found.people.value is None
    assert found.people.undefined == "only ada labelled it"
    (pair,) = found.pairs
    assert (pair.first, pair.second, pair.kind) == ("gold", "model:m@1", "gold and model")
    assert pair.value == cohen_kappa(ADA, BOB, resamples=0).value


def test_facets_of_many_labels_are_compared_as_sets() -> None:
    one = ["rollback+restart", "hotfix", "restart", "rollback"] * 3
    other = ["rollback", "hotfix", "restart", "rollback+restart"] * 3
    annotations = [*said("ada", one, "mitigation"), *said("bob", other, "mitigation")]
    (found,) = label_agreement(annotations, TAXONOMY, resamples=50)
    assert found.people.value is not None
    assert 0 < found.people.value < 1


def test_labels_that_the_taxonomy_does_not_have_are_left_out() -> None:
    assert label_agreement([*said("ada", ["old"]), *said("ada", ["x"], "colour")], TAXONOMY) == []
