from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.incident import TtmUntil
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, KindCount, LabelProbability, Neighbour, Precedent, Suggestion
from triage.history import Example
from triage.pipeline.mitigation import CLOSE, MAX_GENERAL_ADVICE, MAX_STEPS, Advice, Shrinkage, estimate_shares
from triage.pipeline.mitigation import suggest as advise

TAXONOMY = Taxonomy.load("llm_inference")
FACET = TAXONOMY.facet("mitigation")
CATEGORIES = ("infrastructure", "operational")
INFRASTRUCTURE = {"category": FacetResult(facet="category", labels=("infrastructure",))}
UNDECIDED = {"category": FacetResult(facet="category", labels=())}


def suggest(*args: object) -> tuple[Suggestion, ...]:
    return advise(TAXONOMY, *args).suggestions  # type: ignore[arg-type]


def closest(*args: object) -> Precedent | None:
    return advise(TAXONOMY, *args).precedent  # type: ignore[arg-type]


def past(
    name: str, similarity: float, *mitigations: str, category: str = "infrastructure", ttm: float | None = None
) -> Neighbour:
    labels = {"category": (category,), "mitigation": mitigations}
    return Neighbour(incident_id=name, similarity=similarity, labels=labels, ttm_minutes=ttm)


def example(
    name: str,
    *mitigations: str,
    category: str = "infrastructure",
    text: str = "",
    ttm: float | None = None,
    until: TtmUntil = "mitigation",
) -> Example:
    labels = {"category": (category,), "mitigation": mitigations}
    return Example(name, text, np.zeros(2, dtype=np.float32), labels, ttm_minutes=ttm, ttm_until=until)


def test_what_helped_in_more_incidents_comes_first() -> None:
    found = [past("a", 0.8, "rollback"), past("b", 0.7, "rollback", "restart"), past("c", 0.3, "failover")]
    suggestions = suggest(found, {})

    assert [one.mitigation for one in suggestions] == ["rollback", "failover", "restart"]
    assert (suggestions[0].support, suggestions[0].considered) == (2, 3)
    assert suggestions[0].incidents == ("a", "b")


def test_of_two_equally_supported_the_one_usual_for_the_kind_comes_first() -> None:
    found = [past("a", 0.6, "failover"), past("b", 0.6, "rollback")]
    history = [example("c", "rollback"), example("d", "failover", category="operational")]

    assert suggest(found, INFRASTRUCTURE, history)[0].mitigation == "rollback"
    assert suggest(found, {}, history)[0].mitigation == "failover"


def test_a_single_neighbour_is_drawn_further_to_the_history_than_five() -> None:
    history = [example(f"h{n}", "rollback") for n in range(10)]
    one = estimate_shares(TAXONOMY, [past("a", 0.4, "restart")], INFRASTRUCTURE, history)
    five = estimate_shares(TAXONOMY, [past(f"a{n}", 0.4, "restart") for n in range(5)], INFRASTRUCTURE, history)

    assert 0 < one["restart"] < five["restart"] < 1


def likely(facet: str, *labels: str, **shares: float) -> dict[str, FacetResult]:
    distribution = tuple(LabelProbability(label=label, probability=share) for label, share in shares.items())
    return {facet: FacetResult(facet=facet, labels=labels, distribution=distribution)}


def test_each_kind_counts_as_much_as_it_is_likely() -> None:
    found = [past("a", 0.6, "failover"), past("b", 0.6, "rollback")]
    history = [example("c", "failover"), example("d", "rollback", category="operational")]

    def first(**shares: float) -> str:
        return suggest(found, likely("category", "infrastructure", **shares), history)[0].mitigation

    assert first(infrastructure=0.6, operational=0.4) == "failover"
    assert first(infrastructure=0.4, operational=0.6) == "rollback"


def test_an_abstaining_facet_still_tells_which_kinds_are_likely() -> None:
    found = [past("a", 0.6, "failover"), past("b", 0.6, "rollback")]
    history = [example("c", "failover"), example("d", "rollback", category="operational")]
    unsure = likely("category", operational=0.5, infrastructure=0.3)

    assert suggest(found, unsure, history)[0].mitigation == "rollback"


def test_what_is_usual_for_the_failure_mode_outweighs_what_is_usual_for_its_category() -> None:
    found = [past("a", 0.6, "failover"), past("b", 0.6, "rollback")]
    modes = {"node": "failover", "network": "rollback"}
    history = [
        Example(f"{mode}{n}", "", np.zeros(2, dtype=np.float32), labels)
        for mode, mitigation in modes.items()
        for n in range(3 if mode == "network" else 2)
        if (labels := {"category": ("infrastructure",), "failure_mode": (mode,), "mitigation": (mitigation,)})
    ]
    node = likely("failure_mode", "node", node=0.9, network=0.1)

    assert suggest(found, INFRASTRUCTURE, history)[0].mitigation == "rollback"
    assert suggest(found, INFRASTRUCTURE | node, history)[0].mitigation == "failover"


def test_a_failure_mode_without_history_has_the_share_of_its_category() -> None:
    history = [example("c", "rollback"), example("d", "failover"), example("e", "rollback", category="operational")]
    found = [past("a", 0.6, "rollback"), past("b", 0.6, "failover")]
    unknown = likely("failure_mode", "node", node=1.0)

    assert estimate_shares(TAXONOMY, found, INFRASTRUCTURE | unknown, history) == pytest.approx(
        estimate_shares(TAXONOMY, found, INFRASTRUCTURE, history)
    )


def test_without_shrinkage_the_score_is_the_share_among_neighbours() -> None:
    found = [past("a", 0.6, "restart"), past("b", 0.6, "rollback"), past("c", 0.6, "restart")]
    shares = estimate_shares(TAXONOMY, found, INFRASTRUCTURE, [example("d", "rollback")], Shrinkage(0, 0))

    assert shares == {"restart": pytest.approx(2 / 3), "rollback": pytest.approx(1 / 3)}


def test_times_are_those_of_the_incidents_of_its_kind_that_published_one() -> None:
    times = zip("abcd", (30, 90, 40, None), strict=True)
    history = [example(name, "restart", ttm=ttm) for name, ttm in times]
    history.append(example("e", "restart", category="operational", ttm=900))
    (suggestion,) = suggest([past("a", 0.6, "restart", ttm=30)], INFRASTRUCTURE, history)

    assert suggestion.median_ttm_minutes == 40
    assert suggestion.ttm_interquartile_range_minutes == (35, 65)
    assert (suggestion.ttm_count, suggestion.support) == (3, 1)
    assert suggestion.of_kind == KindCount(facet="category", label="infrastructure", used=4, known=4)


def test_times_to_mitigate_and_to_resolve_are_not_mixed() -> None:
    history = [
        example("a", "restart", ttm=30),
        example("b", "restart", ttm=300, until="resolution"),
        example("c", "restart", ttm=500, until="resolution"),
    ]
    (suggestion,) = suggest([past("a", 0.6, "restart")], {}, history)

    assert (suggestion.median_ttm_minutes, suggestion.ttm_until, suggestion.ttm_count) == (400, "resolution", 2)
    assert suggestion.of_kind == KindCount(facet=None, label=None, used=3, known=3)


def test_one_time_alone_has_no_spread() -> None:
    (suggestion,) = suggest([past("a", 0.6, "restart")], {}, [example("a", "restart", ttm=30)])

    assert suggestion.median_ttm_minutes == 30
    assert suggestion.ttm_interquartile_range_minutes is None


def test_a_label_that_was_not_given_is_no_kind() -> None:
    (suggestion,) = suggest(
        [past("a", 0.6, "restart")], likely("category", infrastructure=0.9), [example("a", "restart")]
    )

    assert suggestion.of_kind == KindCount(facet=None, label=None, used=1, known=1)


def test_it_ended_the_incident_where_it_is_over_and_nothing_else_was_used() -> None:
    found = [
        past("a", 0.6, "restart", ttm=30),
        past("b", 0.6, "restart"),
        past("c", 0.6, "restart", "rollback", ttm=20),
        past("d", 0.6, "restart", "undisclosed", ttm=10),
    ]
    restart = suggest(found, {})[0]

    assert (restart.mitigation, restart.support, restart.ended) == ("restart", 4, 2)


def test_supporters_link_to_their_incidents_nearest_first() -> None:
    near = past("b", 0.8, "restart").model_copy(update={"title": "Stuck workers", "url": "https://example.org/b"})
    (suggestion,) = suggest([past("a", 0.5, "restart"), near], {})

    assert suggestion.incidents == ("b", "a")
    assert (suggestion.supporters[0].title, suggestion.supporters[0].url) == ("Stuck workers", "https://example.org/b")


def test_steps_say_in_their_own_words_what_was_done_there() -> None:
    text = "Latency rose in one region. The stuck workers were restarted at noon.\nWe will restart hosts weekly."
    history = [example("a", "restart", text=text), example("b", "restart", text="Nothing is published.")]
    (suggestion,) = suggest([past("a", 0.8, "restart"), past("b", 0.7, "restart")], {}, history)

    assert [(s.incident_id, s.text) for s in suggestion.steps] == [("a", "The stuck workers were restarted at noon.")]


def test_the_precedent_is_the_nearest_that_says_what_ended_it_in_its_own_words() -> None:
    text = "Latency rose. The stuck workers were restarted at noon."
    found = [past("x", 0.9), past("a", 0.8, "restart", ttm=20), past("b", 0.75, "rollback")]
    precedent = closest(found, INFRASTRUCTURE, [example("a", "restart", text=text)])

    assert precedent is not None
    assert (precedent.incident_id, precedent.mitigations, precedent.ttm_minutes) == ("a", ("restart",), 20)
    assert precedent.sentence == "The stuck workers were restarted at noon."


def test_of_close_incidents_one_of_the_likely_kind_is_the_precedent() -> None:
    found = [past("a", 0.8, "restart", category="operational"), past("b", 0.75, "rollback"), past("c", 0.6, "restart")]
    precedent = closest(found, likely("category", infrastructure=0.9, operational=0.1))

    assert precedent is not None
    assert precedent.incident_id == "b"


def test_a_near_duplicate_is_quoted_and_not_counted() -> None:
    copy = past("a", 0.99, "restart").model_copy(update={"is_near_duplicate": True})
    history = [example("a", "restart", text="It was restarted."), example("b", "restart")]
    advice = advise(TAXONOMY, [copy], INFRASTRUCTURE, history)

    assert advice.precedent is not None
    assert (advice.precedent.sentence, advice.precedent.is_near_duplicate) == ("It was restarted.", True)
    assert advice.suggestions[0].of_kind == KindCount(facet="category", label="infrastructure", used=1, known=1)


def test_below_the_floor_it_says_that_nothing_is_close() -> None:
    found = [past("a", 0.95), past("b", 0.41, "restart")]

    assert closest(found, {}) is None
    assert advise(TAXONOMY, found, {}).nothing_close == (
        "Nothing close: the nearest incident that says what ended it has similarity 0.41, and 0.70 is needed."
    )
    assert "no similar incident says what ended it" in (advise(TAXONOMY, found[:1], {}).nothing_close or "")


def test_an_undisclosed_mitigation_is_no_suggestion() -> None:
    history = [example("b", "undisclosed")]

    assert suggest([past("a", 0.9, "undisclosed")], INFRASTRUCTURE, history) == ()


def test_where_no_neighbour_helps_the_usual_ones_of_the_kind_are_general_advice() -> None:
    history = [
        example("a", "failover"),
        example("b", "failover", "restart"),
        example("c", "rollback", category="operational"),
    ]
    suggestions = suggest([past("d", 0.9)], INFRASTRUCTURE, history)

    assert [one.mitigation for one in suggestions] == ["failover", "restart"]
    assert all(one.is_general_advice for one in suggestions)
    assert suggestions[0].definition == FACET.label("failover").definition


def test_what_nobody_can_do_is_no_advice() -> None:
    history = [example("a", "self_recovered"), example("b", "failover", "dependency_fix")]
    suggestions = suggest([past("d", 0.9)], INFRASTRUCTURE, history)

    assert [one.mitigation for one in suggestions] == ["failover"]


def test_what_is_usual_for_the_kind_may_come_before_what_one_similar_incident_used() -> None:
    history = [example("a", "failover"), example("b", "failover"), example("c", "rollback")]
    suggestions = suggest([past("c", 0.9, "rollback")], INFRASTRUCTURE, history)

    assert [(one.mitigation, one.is_general_advice) for one in suggestions] == [("failover", True), ("rollback", False)]


@pytest.mark.parametrize("decided", [{}, UNDECIDED])
def test_without_a_decided_kind_the_whole_history_is_counted(decided: dict[str, FacetResult]) -> None:
    (suggestion,) = suggest([], decided, [example("a", "failover")])

    assert suggestion.of_kind == KindCount(facet=None, label=None, used=1, known=1)


def test_an_empty_history_gives_no_advice() -> None:
    assert suggest([], INFRASTRUCTURE) == ()


def test_a_taxonomy_without_mitigations_gives_none() -> None:
    assert advise(Taxonomy.load("cloud_faults"), [past("a", 0.9, "restart")], {}) == Advice()


used = st.lists(st.sampled_from(FACET.ids), max_size=4, unique=True).map(tuple)
times = st.none() | st.floats(0, 1e6)
neighbour_lists = st.lists(st.tuples(st.floats(-1, 1), used, st.sampled_from(CATEGORIES), times), max_size=10).map(
    lambda rows: [past(f"n{i}", s, *m, category=c, ttm=t) for i, (s, m, c, t) in enumerate(rows)]
)
histories = st.lists(st.tuples(used, st.sampled_from(CATEGORIES)), max_size=20).map(
    lambda rows: [example(f"n{i}", *m, category=c, text="It was rolled back.") for i, (m, c) in enumerate(rows)]
)
beliefs = st.dictionaries(st.sampled_from(CATEGORIES), st.floats(0, 1), max_size=2).map(
    lambda shares: likely("category", **shares)
)
amounts = st.builds(Shrinkage, st.floats(0, 100), st.floats(0, 100))


@given(neighbour_lists, histories, st.sampled_from([{}, UNDECIDED, INFRASTRUCTURE]) | beliefs)
def test_suggestions_are_sorted_counted_and_honest(
    found: list[Neighbour], history: list[Example], decided: dict[str, FacetResult]
) -> None:
    advice = advise(TAXONOMY, found, decided, history)

    assert [one.score for one in advice.suggestions] == sorted((one.score for one in advice.suggestions), reverse=True)
    assert len({one.mitigation for one in advice.suggestions}) == len(advice.suggestions)
    assert not any(FACET.label(one.mitigation).undisclosed for one in advice.suggestions)
    for one in advice.suggestions:
        users = {n.incident_id for n in found if one.mitigation in n.labels["mitigation"]}
        assert 0 <= one.score <= 1
        assert one.definition
        assert set(one.incidents) == {s.incident_id for s in one.supporters} == users
        assert one.ended <= one.support == len(users) <= one.considered
        assert one.is_general_advice == (not users)
        assert one.of_kind is not None
        assert one.ttm_count <= one.of_kind.used <= one.of_kind.known <= len(history)
        assert len(one.steps) <= MAX_STEPS
        assert {step.incident_id for step in one.steps} <= users
        if one.ttm_interquartile_range_minutes and one.median_ttm_minutes is not None:
            low, high = one.ttm_interquartile_range_minutes
            assert low <= one.median_ttm_minutes <= high or low == pytest.approx(high)
    assert sum(one.is_general_advice for one in advice.suggestions) <= MAX_GENERAL_ADVICE
    if advice.precedent is None:
        assert (advice.nothing_close or "").startswith("Nothing close")
    else:
        assert advice.nothing_close is None
        assert advice.precedent.similarity >= CLOSE
        assert advice.precedent.mitigations


@given(neighbour_lists, histories, beliefs, amounts)
def test_shares_are_shares_whatever_the_shrinkage(
    found: list[Neighbour], history: list[Example], decided: dict[str, FacetResult], shrinkage: Shrinkage
) -> None:
    shares = estimate_shares(TAXONOMY, found, decided, history, shrinkage)

    assert all(0 <= share <= 1 + 1e-9 for share in shares.values())
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
