"""Which judgements count, people beside people, label by label, and from a count to its judgements."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from triage.agreement import cohen_kappa
from triage.agreement.ratings import Ratings
from triage.insights.live_agreement.judgements import (
    MODEL,
    MOST_PEOPLE,
    Selection,
    alpha_of,
    confusion_of,
    in_cell,
    label_figures,
    of_label,
    pair_figures,
    person_figures,
    ratings_of,
)
from triage.insights.live_agreement.watch import ABSTAINED
from triage.store import Judgement

from .judgements import FACET, LABELS, MULTI, judgement, judgements


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


@settings(deadline=None, max_examples=40)
@given(judgements())
def test_every_count_leads_to_as_many_judgements_and_each_stands_behind_one_cell(judged: list[Judgement]) -> None:
    with_model = Selection().with_model(judged)
    confusion = confusion_of(FACET, with_model)
    assert confusion is not None
    cells = [in_cell(with_model, human, model) for human in confusion.labels for model in confusion.labels]
    assert [len(cell) for cell in cells] == [n for row in confusion.counts for n in row]
    assert sorted(one for cell in cells for one in cell) == sorted(with_model)


@settings(deadline=None, max_examples=40)
@given(judgements())
def test_a_labels_counts_are_those_of_the_matrix(judged: list[Judgement]) -> None:
    with_model = Selection().with_model(judged)
    for one in label_figures(FACET, with_model, []):
        assert one.both == len(in_cell(with_model, one.label, one.label))
        for outcome, n in (("both", one.both), ("people", one.people_alone), ("model", one.model_alone)):
            assert len(of_label(FACET, with_model, one.label, outcome)) == n  # type: ignore[arg-type]
        if one.score.f1 is not None:
            # Positive agreement: twice what both gave over all that either gave.
            assert one.score.f1 == 2 * one.both / (one.score.support + one.score.predicted)


def test_an_abstention_has_its_column_and_is_no_label() -> None:
    judged = [judgement("a", "bug", "bug"), judgement("b", "bug", ""), judgement("c", "usage", "bug")]
    confusion = confusion_of(FACET, judged)

    assert confusion is not None
    assert confusion.labels == ("bug", "usage", ABSTAINED)
    assert confusion.counts == ((1, 0, 1), (1, 0, 0), (0, 0, 0))
    assert [one.label for one in label_figures(FACET, judged, [])] == ["bug", "usage"]
    assert in_cell(judged, "bug", ABSTAINED) == [judged[1]]


def test_only_the_primary_label_counts_where_there_is_one() -> None:
    facet = FACET.model_copy(update={"cardinality": "primary_first"})
    judged = [judgement("a", ["bug", "usage"], ["bug", "performance"])]

    assert [(one.label, one.both) for one in label_figures(facet, judged, [])] == [("bug", 1)]
    assert of_label(facet, judged, "usage", "people") == []


def test_labels_of_equal_standing_have_no_matrix_and_are_counted_one_by_one() -> None:
    judged = [
        judgement("a", ["bug", "usage"], ["usage"]),
        judgement("b", ["usage"], ["usage", "performance"]),
        judgement("c", ["bug"], ""),
    ]
    found = {one.label: (one.both, one.people_alone, one.model_alone) for one in label_figures(MULTI, judged, [])}

    assert confusion_of(MULTI, judged) is None
    assert found == {"bug": (0, 2, 0), "usage": (2, 0, 0), "performance": (0, 0, 1)}
    assert of_label(MULTI, judged, "bug", "people") == [judged[0], judged[2]]
    assert set(LABELS) <= {*FACET.ids}


def test_nothing_to_compare_has_no_labels() -> None:
    assert label_figures(FACET, [], []) == ()
    assert label_figures(MULTI, [], []) == ()
    assert Ratings.of([]).rows == ()
