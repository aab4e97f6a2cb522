"""People beside people."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from triage.agreement import cohen_kappa
from triage.insights.live_agreement.people import MODEL, MOST_PEOPLE, alpha_of, pair_figures, person_figures, ratings_of
from triage.insights.live_agreement.watch import ABSTAINED
from triage.store import Judgement

from .judgements import FACET, MULTI, judgement, judgements


@settings(deadline=None, max_examples=40)
@given(judgements())
def test_the_table_holds_every_word_once(judged: list[Judgement]) -> None:
    ratings = ratings_of(judged)
    names = [annotator.name for annotator in ratings.annotators]

    assert names[-1] == MODEL
    for one in judged:
        row = ratings.rows[ratings.incidents.index(one.incident_id)]
        assert row[names.index(one.annotator)] == one.labels
    given = sum(labels is not None for row in ratings.rows for labels in row[:-1])
    assert given == len(judged)


def test_of_many_people_those_count_who_labelled_most_and_the_one_that_is_asked_for() -> None:
    judged = [judgement(f"i{n}", "bug", "bug", by=f"p{person:02}") for person in range(12) for n in range(12 - person)]
    assert [one.name for one in ratings_of(judged).annotators] == [*(f"p{n:02}" for n in range(MOST_PEOPLE)), MODEL]
    assert "p11" in {one.name for one in ratings_of(judged, "p11").annotators}
    assert len(ratings_of(judged, "p11").annotators) == MOST_PEOPLE + 1
    assert [one.name for one in person_figures(FACET, judged)] == [f"p{n:02}" for n in range(MOST_PEOPLE)]


def test_the_models_label_is_the_one_beside_the_newest_word_and_an_abstention_agrees_with_nothing() -> None:
    judged = [
        judgement("a", "bug", "usage", by="bo"),
        judgement("a", "bug", "bug", days_ago=1),
        judgement("b", "bug", ""),
    ]
    assert ratings_of(judged).rows == ((("bug",), ("bug",), ("usage",)), (("bug",), None, (ABSTAINED,)))


def test_pairs_are_those_who_labelled_the_same_incidents_with_their_kappa() -> None:
    ada = ["bug", "bug", "usage", "usage", "bug", "usage"]
    bo = ["bug", "usage", "usage", "usage", "bug", "bug"]
    judged = [judgement(f"i{n}", label, None) for n, label in enumerate(ada)]
    judged += [judgement(f"i{n}", label, None, by="bo") for n, label in enumerate(bo)]
    judged += [judgement("i0", "bug", None, by="cy"), judgement("alone", "bug", None, by="dan")]
    pairs = pair_figures(FACET, ratings_of(judged))

    assert [(one.first, one.second, one.figure.n) for one in pairs] == [
        ("ada", "bo", 6),
        ("ada", "cy", 1),
        ("bo", "cy", 1),
    ]
    assert pairs[0].figure.value == pytest.approx(cohen_kappa(ada, bo).value)
    assert [one.second for one in pair_figures(FACET, ratings_of(judged), "ada")] == ["bo", "cy"]
    assert alpha_of(FACET, ratings_of(judged)) is not None
    assert alpha_of(FACET, ratings_of(judged[:6])) is None


def test_each_person_is_held_against_the_model_with_what_they_had_seen() -> None:
    judged = [judgement(f"i{n}", "bug" if n % 2 else "usage", "bug", saw_model=bool(n % 3)) for n in range(9)]
    judged += [judgement("i0", "bug", "bug", by="bo")]
    found = person_figures(FACET, judged)

    assert [(one.name, one.kappa.n, one.saw_model) for one in found] == [("ada", 9, 6), ("bo", 1, 0)]
    assert person_figures(MULTI, judged)[0].kappa.n == 9
