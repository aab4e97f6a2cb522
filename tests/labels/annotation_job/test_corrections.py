from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.labels.annotation_job.conftest import TAXONOMY
from triage.domain.annotation import NOT_TOLD, Labels
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident
from triage.domain.taxonomy import UnknownLabel
from triage.history.casebook import Casebook
from triage.labels.annotation_job.corrections import Corrections, Draft, check_given
from triage.store import Store

SHOWN: Labels = {
    "category": ("infrastructure",),
    "failure_mode": ("network",),
    "mitigation": ("undisclosed",),
    "severity": ("high",),
}


@pytest.fixture
def draft() -> Draft:
    return Draft.of(TAXONOMY, SHOWN)


@pytest.fixture
def corrections(casebook: Casebook, store: Store) -> Corrections:
    return Corrections(casebook, store)


def test_a_new_draft_confirms_what_is_shown_as_far_as_the_taxonomy_has_it() -> None:
    draft = Draft.of(TAXONOMY, {**SHOWN, "weather": ("rain",), "detection": ("by_smell",)})

    assert draft.chosen == SHOWN
    assert draft.corrected == {}


def test_one_answer_takes_the_place_of_another_and_counts_as_a_correction(draft: Draft) -> None:
    picked = draft.pick(TAXONOMY, "severity", "critical")

    assert picked.corrected == {"severity": ("critical",)}
    assert picked.pick(TAXONOMY, "severity", "High").corrected == {}


def test_a_primary_label_takes_the_place_of_all_and_others_come_behind_it(draft: Draft) -> None:
    picked = draft.pick(TAXONOMY, "failure_mode", "node").toggle(TAXONOMY, "failure_mode", "storage")

    assert picked.corrected == {"failure_mode": ("node", "storage")}
    assert picked.toggle(TAXONOMY, "failure_mode", "node").chosen["failure_mode"] == ("storage",)
    assert picked.pick(TAXONOMY, "failure_mode", "power_cooling").chosen["failure_mode"] == ("power_cooling",)


def test_in_a_facet_with_any_number_of_labels_one_is_put_in_or_taken_out(draft: Draft) -> None:
    picked = draft.pick(TAXONOMY, "mitigation", "restart").pick(TAXONOMY, "mitigation", "rollback")
    assert picked.chosen["mitigation"] == ("restart", "rollback")

    assert picked.pick(TAXONOMY, "mitigation", "restart").chosen["mitigation"] == ("rollback",)
    assert picked.pick(TAXONOMY, "mitigation", "undisclosed").chosen["mitigation"] == ("undisclosed",)


def test_a_refining_label_brings_its_parent_along(draft: Draft) -> None:
    assert draft.pick(TAXONOMY, "failure_mode", "deployment").corrected == {
        "category": ("operational",),
        "failure_mode": ("deployment",),
    }
    assert draft.toggle(TAXONOMY, "failure_mode", "storage").corrected == {"failure_mode": ("network", "storage")}


def test_under_a_new_parent_a_label_that_no_longer_fits_is_taken_out(draft: Draft) -> None:
    picked = draft.pick(TAXONOMY, "category", "operational")

    assert picked.corrected == {"category": ("operational",)}
    assert "failure_mode" not in picked.chosen
    assert "failure_mode" in draft.toggle(TAXONOMY, "category", "operational").chosen


def test_an_unknown_label_is_told_with_the_nearest_ones(draft: Draft) -> None:
    with pytest.raises(UnknownLabel, match="rollback"):
        draft.pick(TAXONOMY, "mitigation", "rolback")


PICKS = [("category", NOT_TOLD), *((f.id, label.id) for f in TAXONOMY.facets for label in f.labels)]


@given(st.lists(st.sampled_from(PICKS), max_size=8))
def test_whatever_is_picked_the_labels_fit_together(picks: list[tuple[str, str]]) -> None:
    draft = Draft.of(TAXONOMY, SHOWN)
    for n, (facet, label) in enumerate(picks):
        draft = (draft.pick if n % 2 or label == NOT_TOLD else draft.toggle)(TAXONOMY, facet, label)

    assert TAXONOMY.validate_labels(draft.chosen) == draft.chosen


def test_a_cause_that_is_not_told_takes_the_failure_mode_along(draft: Draft) -> None:
    untold = draft.pick(TAXONOMY, "category", NOT_TOLD)

    assert untold.corrected == {"category": (), "failure_mode": ()}
    assert untold.pick(TAXONOMY, "category", "operational").corrected == {"category": ("operational",)}
    again = Draft.of(TAXONOMY, {"category": (), "failure_mode": ()})
    assert again.confirmed == {"category": (), "failure_mode": ()}


def test_only_what_was_given_is_confirmed() -> None:
    check_given(TAXONOMY, {"severity": ("high",), "category": ()}, {"severity": ("high",), "category": ()})

    with pytest.raises(InvalidInput, match="nothing to confirm in Severity, Mitigation: the triage abstains"):
        check_given(TAXONOMY, {"severity": ("high",), "mitigation": ("rollback",)}, {"mitigation": ("restart",)})


async def test_a_confirmation_keeps_the_run_that_was_shown(corrections: Corrections, store: Store) -> None:
    (run,) = await store.triages.list("one", 1)
    labels: Labels = {"category": ("operational",), "severity": ("high",)}

    kept = await corrections.give("one", labels, "ada", shown=run)

    assert [(each.facet, each.confirms) for each in kept] == [("category", run.run_id), ("severity", None)]
    assert await store.annotations.list("one") == kept


async def test_what_is_given_is_a_persons_word_that_had_seen_the_triage(corrections: Corrections, store: Store) -> None:
    kept = await corrections.give("one", {"category": ("infrastructure",), "severity": ("high",)}, "ada", note="Seen.")

    assert [(each.facet, each.origin, each.saw_model, each.is_gold, each.note) for each in kept] == [
        ("category", "human", True, False, "Seen."),
        ("severity", "human", True, False, "Seen."),
    ]
    assert await store.annotations.list("one") == kept
    assert await store.gold.find_many(["one"]) == {}


async def test_without_a_triage_there_is_nothing_that_could_have_been_seen(
    corrections: Corrections, store: Store
) -> None:
    await store.incidents.add(Incident(id="fresh", write_up="It just fell over."), TAXONOMY.id)

    kept = await corrections.give("fresh", {"severity": ("high",)}, "ada")

    assert kept[0].saw_model is None


async def test_gold_labels_join_the_history_all_together_or_not_at_all(
    corrections: Corrections, casebook: Casebook, store: Store
) -> None:
    with pytest.raises(InvalidInput, match="belongs under 'operational'"):
        await corrections.give(
            "one", {"category": ("infrastructure",), "failure_mode": ("deployment",)}, "ada", is_gold=True
        )
    assert await store.annotations.list("one") == []

    await corrections.give("one", {"category": ("operational",)}, "ada", is_gold=True)
    assert [one.incident_id for one in await casebook.search("Write-up one.", 1)] == ["one"]


async def test_nothing_to_keep_and_no_incident_are_told(corrections: Corrections) -> None:
    with pytest.raises(InvalidInput, match="Choose one first"):
        await corrections.give("one", {}, "ada")
    with pytest.raises(NotFound):
        await corrections.give("none", {"severity": ("high",)}, "ada")
