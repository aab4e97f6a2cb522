from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.annotation_job.conftest import TAXONOMY
from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput
from triage.labels.annotation_job.disagreement import against_model, agreed, disagreements, parent_labels, verdicts

ids = itertools.count(1)


def said(annotator: str, *labels: str, facet: str = "category", **fields: object) -> Annotation:
    values = {"incident_id": "i", "facet": facet, "labels": labels, "annotator": annotator, "id": next(ids)}
    return Annotation.model_validate(values | fields)


def settled(*of: Annotation, labels: tuple[str, ...], by: str = "lin") -> Annotation:
    facet = of[0].facet
    return said(by, *labels, facet=facet, is_gold=True, settles=tuple(each.id for each in of))


def open_facets(*annotations: Annotation) -> list[str]:
    return [each.facet for each in disagreements(annotations, TAXONOMY)]


def test_two_people_disagree_only_if_the_primary_labels_differ() -> None:
    one, other = said("ada", "infrastructure"), said("grace", "operational", "infrastructure")

    assert open_facets(one, other) == ["category"]
    assert open_facets(one, said("grace", "infrastructure", "operational")) == []
    assert disagreements([one, other], TAXONOMY)[0].annotations == (one, other)


def test_of_a_facet_with_any_number_of_labels_all_count_in_any_order() -> None:
    one = said("ada", "restart", "failover", facet="mitigation")

    assert open_facets(one, said("grace", "failover", "restart", facet="mitigation")) == []
    assert open_facets(one, said("grace", "restart", facet="mitigation")) == ["mitigation"]


def test_neither_one_person_nor_a_model_nor_a_rule_can_disagree_with_anyone() -> None:
    one = said("ada", "infrastructure")

    assert open_facets(one, said("ada", "operational")) == []
    assert open_facets(one, said("model:x@1", "operational", origin="model")) == []
    assert open_facets(one, said("a rule", "operational", origin="derived")) == []


def test_what_is_settled_is_open_again_only_when_someone_contradicts_it() -> None:
    one, other = said("ada", "infrastructure"), said("grace", "operational")
    verdict = settled(one, other, labels=("operational",))

    assert open_facets(one, other, verdict) == []
    assert open_facets(one, other, verdict, said("ada", "operational")) == []
    again = disagreements([one, other, verdict, said("joan", "inference_engine")], TAXONOMY)
    assert (again[0].facet, again[0].settled, len(again[0].annotations)) == ("category", verdict, 3)


def test_what_all_agree_on_keeps_the_labels_that_all_gave() -> None:
    one, other = said("ada", "infrastructure", "operational"), said("grace", "infrastructure")
    found = agreed([one, other], TAXONOMY)

    assert [(each.facet, each.labels, each.annotations) for each in found] == [
        ("category", ("infrastructure",), (one, other))
    ]
    assert agreed([one, other, settled(one, other, labels=("infrastructure",))], TAXONOMY) == []


def test_a_childs_parent_is_what_is_settled_or_what_all_say_and_must_not_be_open() -> None:
    child = TAXONOMY.facet("failure_mode")
    one, other = said("ada", "infrastructure"), said("grace", "operational")

    assert parent_labels(TAXONOMY.facet("category"), [one, other], TAXONOMY) is None
    assert parent_labels(child, [one], TAXONOMY) is None
    assert parent_labels(child, [one, said("grace", "infrastructure")], TAXONOMY) == ("infrastructure",)
    assert parent_labels(child, [one, other, settled(one, other, labels=("operational",))], TAXONOMY) == (
        "operational",
    )
    with pytest.raises(InvalidInput, match="Settle 'category' first"):
        parent_labels(child, [one, other], TAXONOMY)


def test_a_verdict_keeps_what_it_was_made_from() -> None:
    one, other = said("ada", "infrastructure"), said("grace", "operational")
    verdict = settled(one, other, labels=("operational",))
    later = said("ada", "operational")
    agreeing = settled(later, other, labels=("operational",), by="max")

    first, second = verdicts([one, other, verdict, later, agreeing])
    assert (first.adjudication, first.settled, first.was_agreed) == (verdict, (one, other), False)
    assert (second.settled, second.was_agreed) == ((later, other), True)


labels = st.sampled_from(TAXONOMY.facet("category").ids)
words = st.lists(st.tuples(st.sampled_from("abcd"), labels), max_size=8)


@settings(deadline=None)
@given(words)
def test_what_two_say_is_either_open_or_agreed_and_settling_closes_it(spoken: list[tuple[str, str]]) -> None:
    annotations = [said(who, label) for who, label in spoken]
    people = {who for who, _ in spoken}
    open_, same = disagreements(annotations, TAXONOMY), agreed(annotations, TAXONOMY)

    assert len(open_) + len(same) == (1 if len(people) > 1 else 0)
    for each in (*open_, *same):
        verdict = settled(*each.annotations, labels=("operational",))
        assert disagreements([*annotations, verdict], TAXONOMY) == []
        assert agreed([*annotations, verdict], TAXONOMY) == []


@settings(deadline=None)
@given(words, st.randoms(use_true_random=False))
def test_who_spoke_first_does_not_matter(spoken: list[tuple[str, str]], chance: object) -> None:
    last = list(dict(spoken).items())
    mixed = list(last)
    chance.shuffle(mixed)  # type: ignore[attr-defined]

    for one, other in ((last, mixed),):
        results = [
            (open_facets(*annotations), [each.labels[0] for each in agreed(annotations, TAXONOMY)])
            for annotations in ([said(*word) for word in one], [said(*word) for word in other])
        ]
        assert results[0] == results[1]


def test_a_person_contradicts_the_model_until_a_person_made_the_facet_gold() -> None:
    one, model = said("ada", "infrastructure"), {"category": ("operational",), "severity": ()}

    assert against_model([one, said("ada", "high", facet="severity")], model, TAXONOMY) == ["category"]
    assert against_model([one], {"category": ("infrastructure", "operational")}, TAXONOMY) == []
    assert against_model([said("a rule", "infrastructure", origin="derived")], model, TAXONOMY) == []
    assert against_model([one, settled(one, labels=("infrastructure",))], model, TAXONOMY) == []
    gold = said("ada", "infrastructure", is_gold=True)
    assert against_model([one, gold], model, TAXONOMY) == []
    # Their latest word takes the gold label back.
    assert against_model([gold, said("ada", "infrastructure")], model, TAXONOMY) == ["category"]
