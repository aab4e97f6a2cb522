"""The agreement report of annotations: who counts as whom, what is compared, and what is said where nothing can be."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from sklearn.metrics import cohen_kappa_score

from triage.agreement import AgreementReport, FacetAgreement, agreement_report
from triage.agreement.ratings import Ratings
from triage.agreement.report import DERIVED_GOLD, GOLD
from triage.domain.annotation import Annotation
from triage.domain.taxonomy import Taxonomy, UnknownFacet

TAXONOMY = Taxonomy.load("llm_inference")
START = datetime(2026, 1, 1, tzinfo=UTC)
CATEGORIES = TAXONOMY.facet("category").ids


def said(annotator: str, incident: int, *labels: str, facet: str = "category", **fields: object) -> Annotation:
    values = {"incident_id": f"i{incident}", "facet": facet, "labels": labels, "annotator": annotator}
    return Annotation.model_validate({**values, "created_at": START + timedelta(minutes=incident), **fields})


def labelled(annotator: str, share: float, n: int = 80, facet: str = "category", **fields: object) -> list[Annotation]:
    """Labels that follow the truth in `share` of the incidents, and another label else."""
    ids, rng = TAXONOMY.facet(facet).ids, random.Random(annotator)
    truth = [random.Random(i).choice(ids) for i in range(n)]
    told = [one if rng.random() < share else rng.choice([i for i in ids if i != one]) for one in truth]
    return [said(annotator, i, label, facet=facet, **fields) for i, label in enumerate(told)]


def measured(annotations: Iterable[Annotation], facet: str = "category", **options: object) -> FacetAgreement:
    report = agreement_report(annotations, TAXONOMY, [facet], **{"resamples": 400, **options})  # type: ignore[arg-type]
    assert AgreementReport.model_validate_json(report.model_dump_json()) == report
    return report.facets[0]


def test_people_are_compared_pair_by_pair_and_all_together() -> None:
    ada, bob, cyd = (labelled(name, share) for name, share in (("ada", 0.9), ("bob", 0.85), ("cyd", 0.8)))
    found = measured([*ada, *bob, *cyd[:50]])

    assert [(one.first, one.second, one.n) for one in found.pairs] == [
        ("ada", "bob", 80),
        ("ada", "cyd", 50),
        ("bob", "cyd", 50),
    ]
    first = found.pairs[0].kappa
    assert first is not None
    expected = cohen_kappa_score([one.labels[0] for one in ada], [one.labels[0] for one in bob])
    assert first.value == pytest.approx(expected, abs=1e-9)
    assert found.ceiling.value == pytest.approx(sum(one.kappa.value for one in found.pairs if one.kappa) / 3)  # type: ignore[misc]
    assert found.ceiling.interval is not None
    assert found.alpha is not None
    assert found.alpha.value == pytest.approx(found.ceiling.value, abs=0.05)
    assert found.fleiss is not None
    assert "here they have 2 to 3" in (found.fleiss.undefined or "")
    assert {one.label for one in found.labels} == set(CATEGORIES)
    assert (found.incidents, found.overlap) == (80, 80)


def test_fleiss_kappa_stands_where_all_label_the_same_incidents() -> None:
    people = [one for name in ("ada", "bob", "cyd") for one in labelled(name, 0.8)]
    alone = said("ada", 200, CATEGORIES[0])
    found = measured([*people, alone])

    assert found.fleiss is not None
    assert found.fleiss.n == 80
    assert found.fleiss.value is not None
    assert found.incidents == 81


def test_a_model_is_held_against_gold_each_person_and_the_ceiling() -> None:
    people = [one for name in ("ada", "bob", "cyd") for one in labelled(name, 0.95)]
    gold = labelled("lead", 1.0, n=30, is_gold=True)
    model = labelled("model:small", 0.6, origin="model")
    found = measured([*people, *gold, *model])

    (one,) = found.models
    assert [(pair.first, pair.second) for pair in one.gold] == [(GOLD, "model:small")]
    assert [pair.first for pair in one.people] == ["ada", "bob", "cyd", "lead"]
    assert one.gold[0].n == 30
    assert one.gap.value is not None
    assert one.gap.interval is not None
    assert one.gap.interval.high < 0
    text = one.explain(found.ceiling)
    assert "agrees with people at 0." in text
    assert "below them (95% interval of the difference -0." in text
    assert all("model" not in (pair.first + pair.second) for pair in found.pairs)


def test_a_difference_that_may_be_chance_is_called_so() -> None:
    people = [one for name in ("ada", "bob") for one in labelled(name, 0.8)]
    found = measured([*people, *labelled("model:good", 0.8, origin="model")])

    assert found.models[0].explain(found.ceiling).endswith("which may be chance.")


def test_one_person_alone_sets_no_ceiling() -> None:
    found = measured([*labelled("ada", 0.9), *labelled("model:small", 0.6, origin="model")])

    assert found.ceiling.value is None
    assert found.pairs == ()
    assert "There is no human-human ceiling: only ada labelled this facet" in found.notes[0]
    assert "there is no ceiling to compare with: only ada labelled" in found.models[0].explain(found.ceiling)
    assert found.models[0].mean.value is not None


def test_people_who_share_no_incident_set_no_ceiling() -> None:
    found = measured([said("ada", 1, CATEGORIES[0]), said("bob", 2, CATEGORIES[0])])

    assert found.overlap == 0
    assert found.ceiling.value is None
    assert "no incident was labelled by both of any pair" in found.notes[0]
    assert "nothing to compare" in str(found.pairs[0].reading)


def test_derived_labels_are_never_a_persons() -> None:
    derived = labelled("rules", 1.0, origin="derived", is_gold=True)
    found = measured([*labelled("ada", 0.9), *derived, *labelled("model:small", 0.6, origin="model")])

    assert found.pairs == ()
    assert found.ceiling.value is None
    assert [pair.first for pair in found.models[0].gold] == [DERIVED_GOLD]
    assert any("count as nobody's opinion: rules" in note for note in found.notes)


def test_a_persons_gold_label_comes_before_a_derived_one_and_a_models_is_none() -> None:
    wrong, right = CATEGORIES[0], CATEGORIES[1]
    annotations = [
        said("ada", 1, right, is_gold=True),
        said("rules", 1, wrong, origin="derived", is_gold=True),
        said("model:x", 1, wrong, origin="model", is_gold=True),
        said("model:x", 2, wrong, origin="model", is_gold=True),
    ]
    (pair,) = measured(annotations).models[0].gold

    assert (pair.first, pair.n) == (GOLD, 1)
    assert pair.kappa is not None
    assert pair.kappa.observed == 0


def test_the_latest_word_of_an_annotator_counts() -> None:
    bob = labelled("bob", 0.9)
    changed = [said("bob", i, one.labels[0]) for i, one in enumerate(labelled("ada", 0.9))]
    found = measured([*labelled("ada", 0.9), *bob, *changed])

    assert found.pairs[0].kappa is not None
    assert found.pairs[0].kappa.observed == 1
    assert found.annotators[1].incidents == 80


def test_an_ordered_facet_has_weighted_kappa_and_ordinal_alpha() -> None:
    found = measured([*labelled("ada", 0.8, facet="severity"), *labelled("bob", 0.8, facet="severity")], "severity")

    assert [kappa.weights for kappa in found.pairs[0].weighted] == ["linear", "quadratic"]
    assert found.ordinal is not None
    assert found.ordinal.distance == "ordinal"
    assert measured([*labelled("ada", 0.8), *labelled("bob", 0.8)]).ordinal is None


def test_a_facet_with_several_labels_is_compared_as_sets() -> None:
    ids = TAXONOMY.facet("mitigation").ids
    rng = random.Random(3)
    annotations = []
    for i in range(60):
        chosen = rng.sample(ids[:5], 2)
        annotations += [said("ada", i, *chosen, facet="mitigation"), said("bob", i, *chosen[:1], facet="mitigation")]
    found = measured(annotations, "mitigation")
    pair = found.pairs[0]

    assert pair.kappa is None
    assert pair.alpha is not None
    assert pair.sets is not None
    assert pair.main == pair.alpha
    assert pair.sets.jaccard == 0.5
    assert found.alpha is None
    assert found.set_alpha is not None
    assert found.set_alpha.value == pair.alpha.value == found.ceiling.value
    assert {one.label for one in found.labels} == set(ids[:5])


def test_the_primary_label_is_what_kappa_compares() -> None:
    a, b, c = CATEGORIES[:3]
    found = measured(
        [one for i in range(60) for one in (said("ada", i, (a, b)[i % 2], c), said("bob", i, (a, b)[i % 2]))]
    )

    assert found.pairs[0].kappa is not None
    assert found.pairs[0].kappa.value == 1
    assert found.set_alpha is not None
    assert found.set_alpha.value is not None
    assert found.set_alpha.value < 0.6


def test_labels_and_facets_that_the_taxonomy_lost_are_left_out_and_told() -> None:
    report = agreement_report(
        [said("ada", 1, "gone"), said("ada", 1, "x", facet="lost"), said("ada", 1, CATEGORIES[0])], TAXONOMY
    )

    assert report.annotations == 1
    assert report.ignored == (
        "1 with 'gone' of facet 'category', which is not in the taxonomy",
        "1 with facet 'lost', which is not in the taxonomy",
    )


def test_a_facet_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UnknownFacet):
        agreement_report([], TAXONOMY, ["nothing"])


def test_nothing_labelled_is_an_empty_report() -> None:
    assert agreement_report([], TAXONOMY).facets == ()


def test_an_adjudication_is_gold_and_no_further_opinion() -> None:
    def said(who: str, label: str, **more: object) -> Annotation:
        return Annotation.model_validate(
            {"incident_id": "i", "facet": "category", "labels": (label,), "annotator": who, **more}
        )

    ratings = Ratings.of(
        [
            said("ada", "infrastructure"),
            said("bob", "operational"),
            said("ada", "operational", is_gold=True, settles=(1, 2)),
        ]
    )
    assert [who.name for who in ratings.annotators] == ["ada", "bob"]
    assert ratings.rows == ((("infrastructure",), ("operational",)),)
    assert ratings.gold == {"i": ("operational",)}
