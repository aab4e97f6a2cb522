"""Label by label, and from a count to its judgements."""

from __future__ import annotations

from hypothesis import given, settings

from triage.agreement.ratings import Ratings
from triage.insights.live_agreement.label_figures import confusion_of, in_cell, label_figures, of_label
from triage.insights.live_agreement.selection import Selection
from triage.insights.live_agreement.watch import ABSTAINED
from triage.store import Judgement

from .judgements import FACET, LABELS, MULTI, judgement, judgements


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
