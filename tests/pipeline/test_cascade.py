"""Which facets a model is asked about."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import FacetResult
from triage.pipeline.cascade import Cascade
from triage.pipeline.classification import Answer, normalised
from triage.pipeline.decision import FacetRule, decide, default_rule

TAXONOMY = Taxonomy.load("llm_inference")
SINGLE = TAXONOMY.facet("detection")
ONE = TAXONOMY.model_copy(update={"facets": (SINGLE,)})

Learned = dict[str, dict[str, dict[str, float]]]


def cascade(
    taxonomy: Taxonomy,
    learned: Learned,
    rules: Mapping[str, FacetRule] | None = None,
    prior: dict[str, float] | None = None,
) -> Cascade:
    def decided(answers: Mapping[str, Answer]) -> Mapping[str, FacetResult]:
        return decide(taxonomy, answers, (), learned, rules)

    return Cascade(taxonomy, rules or {}, decided({}), decided, lambda _: {} if prior is None else prior)


def asked(*args: object, **kwargs: object) -> list[str]:
    return [facet.id for facet in cascade(*args, **kwargs).facets()]  # type: ignore[arg-type]


def sure(facet: Facet, label: str) -> dict[str, dict[str, float]]:
    """Sources that leave no doubt."""
    shares = {label: 1.0}
    return {"definitions": shares, "words": shares, "embedding": shares, "neighbours": shares}


def test_without_anything_learned_all_is_asked_the_kind_of_incident_first() -> None:
    assert asked(TAXONOMY, {}) == [facet.id for facet in TAXONOMY.triaged]
    moved = TAXONOMY.model_copy(
        update={"facets": tuple(sorted(TAXONOMY.facets, key=lambda facet: facet.id == "failure_mode"))}
    )
    assert asked(moved, {})[:2] == ["category", "failure_mode"]


def test_what_no_answer_can_change_is_not_asked() -> None:
    learned = {"detection": sure(SINGLE, SINGLE.ids[0])}

    assert "detection" not in asked(TAXONOMY, learned)
    assert {"category", "failure_mode", "severity"} <= set(asked(TAXONOMY, learned))


def test_a_facet_and_those_that_refine_it_are_asked_about_together() -> None:
    category, mode = TAXONOMY.facet("category"), TAXONOMY.facet("failure_mode")
    known: Learned = {"category": sure(category, "infrastructure")}

    assert asked(TAXONOMY, known)[:2] == ["category", "failure_mode"]
    known["failure_mode"] = sure(mode, mode.children(["infrastructure"])[0].id)
    assert not {"category", "failure_mode"} & set(asked(TAXONOMY, known))


@pytest.mark.parametrize("weights", [{"definitions": 1.0}, {"model": 0.0, "definitions": 1.0}])
def test_a_facet_whose_rule_gives_the_model_no_weight_is_not_asked(weights: dict[str, float]) -> None:
    rules = {"detection": FacetRule(weights, is_calibrated=True)}
    learned = {"detection": {"definitions": dict.fromkeys(SINGLE.ids, 0.25)}}

    assert asked(ONE, learned) == ["detection"]
    assert asked(ONE, learned, rules) == []


def test_an_unsure_answer_that_would_make_a_facet_abstain_counts_as_a_change() -> None:
    shares = {SINGLE.ids[0]: 0.98, SINGLE.ids[1]: 0.02}
    learned: Learned = {"detection": {"definitions": shares}}
    weak = FacetRule({"model": 0.2, "definitions": 1.0}, is_calibrated=True)

    assert asked(ONE, learned, {"detection": weak}) == []
    assert asked(ONE, learned, {"detection": weak._replace(abstain_below=0.97)}) == ["detection"]


def shares() -> st.SearchStrategy[dict[str, float]]:
    sharp = st.floats(0, 12).map(lambda x: 10**-x)
    values = st.lists(sharp, min_size=len(SINGLE.ids), max_size=len(SINGLE.ids))
    return values.map(lambda each: normalised(dict(zip(SINGLE.ids, each, strict=True))))


@given(shares(), shares(), shares(), st.just({}) | shares(), st.floats(0.05, 1.5), st.floats(0, 0.99))
def test_of_a_facet_that_is_not_asked_no_answer_would_have_changed_the_label(
    definitions: dict[str, float],
    words: dict[str, float],
    answer: dict[str, float],
    prior: dict[str, float],
    weight: float,
    abstain_below: float,
) -> None:
    learned: Learned = {"detection": {"definitions": definitions, "words": words}}
    rule = FacetRule({**default_rule(("definitions", "words")).weights, "model": weight}, abstain_below=abstain_below)
    before = decide(ONE, {}, (), learned, {"detection": rule})["detection"]
    assume(asked(ONE, learned, {"detection": rule}, prior=prior) == [])

    after = decide(ONE, {"detection": Answer(distribution=answer, prior=prior)}, (), learned, {"detection": rule})
    assert after["detection"].labels == before.labels
