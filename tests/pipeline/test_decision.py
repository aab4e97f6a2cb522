from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.taxonomy import Facet, Taxonomy
from triage.domain.triage_result import Neighbour
from triage.pipeline.classification import Answer, normalised
from triage.pipeline.decision import combine, decide, share_out, vote

TAXONOMY = Taxonomy.load("llm_inference")
CATEGORY, MODE = TAXONOMY.facet("category"), TAXONOMY.facet("failure_mode")


def distributions(facet: Facet) -> st.SearchStrategy[dict[str, float]]:
    shares = st.lists(st.floats(0, 1), min_size=len(facet.ids), max_size=len(facet.ids)).filter(lambda s: sum(s) > 0.01)
    return shares.map(lambda values: normalised(dict(zip(facet.ids, values, strict=True))))


def answers() -> st.SearchStrategy[dict[str, Answer]]:
    made = {
        facet.id: st.builds(Answer, distribution=distributions(facet), prior=st.just({}) | distributions(facet))
        for facet in TAXONOMY.triaged
    }
    return st.fixed_dictionaries({}, optional=made)


@st.composite
def neighbours(draw: st.DrawFn) -> list[Neighbour]:
    made = []
    for n in range(draw(st.integers(0, 4))):
        mode = draw(st.sampled_from(MODE.labels))
        labels = {"category": (mode.parent or "",), "failure_mode": (mode.id,)}
        similarity = draw(st.floats(-1, 1))
        made.append(Neighbour(incident_id=f"n{n}", similarity=similarity, labels=labels))
    return made


@given(answers(), neighbours())
def test_every_facet_is_decided_or_abstains_with_a_reason_and_child_and_parent_agree(
    said: dict[str, Answer], found: list[Neighbour]
) -> None:
    results = decide(TAXONOMY, said, found)

    assert list(results) == [facet.id for facet in TAXONOMY.triaged]
    for result in results.values():
        assert bool(result.labels) != bool(result.abstention)
        assert all(0 <= one.probability <= 1 for one in result.distribution)
    parents = {MODE.label(label).parent for label in results["failure_mode"].labels}
    assert parents <= set(results["category"].labels)
    if results["failure_mode"].labels:
        assert MODE.label(results["failure_mode"].labels[0]).parent == results["category"].labels[0]


@given(distributions(CATEGORY), distributions(CATEGORY), neighbours())
def test_combined_probabilities_are_probabilities(
    said: dict[str, float], prior: dict[str, float], found: list[Neighbour]
) -> None:
    combined = combine(CATEGORY, {"model": said, "prior": prior, "neighbours": vote(CATEGORY, found)})

    assert sum(combined.values()) == pytest.approx(1)
    assert list(combined.values()) == sorted(combined.values(), reverse=True)


def test_neighbours_that_agree_raise_their_label() -> None:
    said = {"infrastructure": 0.5, "inference_engine": 0.5}
    near = [Neighbour(incident_id="n", similarity=0.9, labels={"category": ("inference_engine",)})]

    assert next(iter(combine(CATEGORY, {"model": said, "neighbours": vote(CATEGORY, near)}))) == "inference_engine"


def test_a_closer_neighbour_has_more_of_a_vote() -> None:
    shares = vote(
        CATEGORY,
        [
            Neighbour(incident_id="a", similarity=0.9, labels={"category": ("operational",)}),
            Neighbour(incident_id="b", similarity=0.5, labels={"category": ("infrastructure",)}),
        ],
    )

    assert shares["operational"] > shares["infrastructure"]
    assert sum(shares.values()) == pytest.approx(1)


def test_what_the_model_favours_anyway_counts_less() -> None:
    said = {"infrastructure": 0.6, "inference_engine": 0.4}
    prior = {"infrastructure": 0.9, "inference_engine": 0.1}

    assert next(iter(combine(CATEGORY, {"model": said, "prior": prior}))) == "inference_engine"


def test_a_near_duplicate_does_not_decide_where_others_can() -> None:
    found = [
        Neighbour(incident_id="copy", similarity=1.0, is_near_duplicate=True, labels={"category": ("operational",)}),
        Neighbour(incident_id="other", similarity=0.6, labels={"category": ("infrastructure",)}),
    ]

    assert decide(TAXONOMY, {}, found)["category"].distribution[0].label == "infrastructure"


def test_without_model_and_neighbours_it_abstains() -> None:
    results = decide(TAXONOMY, {}, [])

    assert results["category"].labels == ()
    assert "no similar incident" in (results["category"].abstention or "")
    assert results["failure_mode"].abstention == "category is not decided, and failure_mode depends on it."


def test_each_source_is_kept_with_the_result() -> None:
    said = {"category": Answer(distribution={"operational": 1.0}, prior={"operational": 0.5, "infrastructure": 0.5})}
    found = [Neighbour(incident_id="n", similarity=0.5, labels={"category": ("operational",)})]
    result = decide(TAXONOMY, said, found)["category"]

    assert set(result.sources) == {"model", "prior", "neighbours"}
    assert result.origin == "model and history"


@given(distributions(CATEGORY), distributions(MODE))
def test_a_category_is_as_likely_as_its_failure_modes_together(own: dict[str, float], modes: dict[str, float]) -> None:
    shared = share_out(TAXONOMY.triaged, {"category": own, "failure_mode": modes})

    assert sum(shared["category"].values()) == pytest.approx(1)
    sums = dict.fromkeys(CATEGORY.ids, 0.0)
    for label, p in shared["failure_mode"].items():
        sums[MODE.label(label).parent or ""] += p
    for label, p in shared["category"].items():
        children = sum(modes[child.id] for child in MODE.children([label]))
        assert sums[label] == pytest.approx(p if children else 0, abs=1e-9)


def test_sure_failure_modes_decide_an_unsure_category() -> None:
    unsure = dict.fromkeys(CATEGORY.ids, 0.24) | {"operational": 0.28}
    modes = {label: 0.9 if label == "timeout" else 0.1 / (len(MODE.ids) - 1) for label in MODE.ids}
    learned = {"category": {"words": unsure}, "failure_mode": {"words": modes}}
    results = decide(TAXONOMY, {}, [], learned)

    assert results["category"].labels == ("inference_engine",)
    assert results["failure_mode"].labels == ("timeout",)
    assert results["category"].sources["children"]["inference_engine"] > 0.8


def test_without_sources_of_one_facet_the_other_is_left_as_it_is() -> None:
    own = dict.fromkeys(CATEGORY.ids, 0.25)

    assert share_out(TAXONOMY.triaged, {"category": own, "failure_mode": {}}) == {"category": own, "failure_mode": {}}


def test_what_is_not_more_likely_than_the_rest_is_no_label_without_a_fitted_threshold() -> None:
    said = {"infrastructure": 0.4, "inference_engine": 0.3, "operational": 0.3}
    result = decide(TAXONOMY, {"category": Answer(distribution=said)}, [])["category"]

    assert result.labels == ()
    assert result.distribution[0].label == "infrastructure"
    assert "below 50%" in (result.abstention or "")
