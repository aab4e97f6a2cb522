from __future__ import annotations

from triage.mitigation import suggest
from triage.taxonomy import Taxonomy
from triage.triage_result import FacetResult, Neighbour

TAXONOMY = Taxonomy.load("llm_inference")


def past(
    name: str, similarity: float, *mitigations: str, category: str = "infrastructure", ttm: float | None = None
) -> Neighbour:
    labels = {"category": (category,), "mitigation": mitigations}
    return Neighbour(incident_id=name, similarity=similarity, labels=labels, ttm_minutes=ttm)


def test_what_helped_in_more_and_closer_incidents_comes_first() -> None:
    found = [past("a", 0.8, "rollback"), past("b", 0.7, "rollback", "restart"), past("c", 0.3, "failover")]
    suggestions = suggest(TAXONOMY, found, {})

    assert [one.mitigation for one in suggestions] == ["rollback", "restart", "failover"]
    assert (suggestions[0].support, suggestions[0].considered) == (2, 3)
    assert suggestions[0].incidents == ("a", "b")


def test_incidents_of_the_same_kind_weigh_double() -> None:
    found = [past("a", 0.6, "rollback", category="operational"), past("b", 0.6, "failover")]
    decided = {"category": FacetResult(facet="category", labels=("infrastructure",))}

    assert suggest(TAXONOMY, found, decided)[0].mitigation == "failover"


def test_times_are_those_of_the_incidents_that_published_one() -> None:
    found = [past("a", 0.6, "restart", ttm=30), past("b", 0.6, "restart", ttm=90), past("c", 0.6, "restart")]
    (suggestion,) = suggest(TAXONOMY, found, {})

    assert suggestion.median_ttm_minutes == 60
    assert suggestion.ttm_range_minutes == (30, 90)
    assert (suggestion.ttm_count, suggestion.support) == (2, 3)


def test_an_undisclosed_mitigation_is_no_suggestion() -> None:
    assert suggest(TAXONOMY, [past("a", 0.9, "undisclosed")], {}) == []


def test_a_taxonomy_without_mitigations_gives_none() -> None:
    assert suggest(Taxonomy.load("cloud_faults"), [past("a", 0.9, "restart")], {}) == []
