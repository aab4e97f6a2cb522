from __future__ import annotations

import pytest

from tests.labels.annotation_job.conftest import TAXONOMY, assigned
from triage.domain.annotation import Annotation
from triage.domain.errors import Conflict, InvalidInput, NotFound, Outdated
from triage.history.casebook import Casebook
from triage.labels.annotation_job import adjudication as module
from triage.labels.annotation_job.adjudication import Adjudication, Ruling
from triage.store import Store


@pytest.fixture
def adjudication(casebook: Casebook, store: Store) -> Adjudication:
    return Adjudication(casebook, store)


async def say(store: Store, annotator: str, incident_id: str = "one", **labels: str) -> list[Annotation]:
    given = [
        Annotation(incident_id=incident_id, facet=facet, labels=(label,), annotator=annotator)
        for facet, label in labels.items()
    ]
    return (await store.record(given)).annotations


async def test_a_settled_disagreement_is_gold_history_and_keeps_what_it_was_made_from(
    adjudication: Adjudication, casebook: Casebook, store: Store
) -> None:
    said = [*await say(store, "ada", category="infrastructure"), *await say(store, "grace", category="operational")]
    assert [each.incident_id for each in (await adjudication.page(5)).incidents] == ["one"]

    gold = await adjudication.settle(
        "one", "lin", [Ruling("category", ("Inference engine",), "Neither.", accepts_new_label=True)]
    )

    assert (gold[0].labels, gold[0].settles) == (("inference_engine",), (said[0].id, said[1].id))
    assert (await casebook.search("Write-up one", 1))[0].labels == {"category": ("inference_engine",)}
    assert (await adjudication.page(5)).incidents == ()
    history = await adjudication.history("one")
    assert (history[0].adjudication, history[0].settled) == (gold[0], tuple(said))


async def test_settling_a_child_accepts_what_all_say_of_its_parent(adjudication: Adjudication, store: Store) -> None:
    await say(store, "ada", category="infrastructure", failure_mode="network")
    await say(store, "grace", category="infrastructure", failure_mode="node")

    await adjudication.settle("one", "lin", [Ruling("failure_mode", ("node",))])

    assert await store.gold.find_many(["one"]) == {"one": {"category": ("infrastructure",), "failure_mode": ("node",)}}


async def test_what_can_not_be_settled_is_explained_and_stores_nothing(
    adjudication: Adjudication, store: Store
) -> None:
    await say(store, "ada", category="infrastructure", failure_mode="network")
    await say(store, "grace", category="operational", failure_mode="deployment")

    with pytest.raises(InvalidInput, match="Settle 'category' first"):
        await adjudication.settle("one", "lin", [Ruling("failure_mode", ("network",))])
    with pytest.raises(InvalidInput, match="belongs under 'infrastructure'"):
        await adjudication.settle(
            "one", "lin", [Ruling("category", ("operational",)), Ruling("failure_mode", ("network",))]
        )
    with pytest.raises(InvalidInput, match="Nobody has labelled 'severity'"):
        await adjudication.settle("one", "lin", [Ruling("severity", (TAXONOMY.facet("severity").ids[0],))])
    with pytest.raises(NotFound):
        await adjudication.settle("nobody", "lin", [Ruling("category", ("operational",))])
    assert await store.gold.find_many(["one"]) == {}

    await adjudication.settle(
        "one", "lin", [Ruling("category", ("operational",)), Ruling("failure_mode", ("deployment",))]
    )
    assert len((await store.gold.find_many(["one"]))["one"]) == 2


async def test_who_has_yet_to_label_an_incident_neither_sees_nor_settles_it(
    adjudication: Adjudication, store: Store
) -> None:
    await say(store, "ada", category="infrastructure")
    await say(store, "grace", category="operational")
    await store.assignments.add([assigned("one", "lin", facets=("category", "failure_mode"))])

    assert (await adjudication.page(5, adjudicator="lin")).incidents == ()
    assert len((await adjudication.page(5, adjudicator="max")).incidents) == 1
    with pytest.raises(Conflict, match="still has to label"):
        await adjudication.settle("one", "lin", [Ruling("category", ("operational",))])

    await say(store, "lin", category="operational", failure_mode="deployment")
    assert len((await adjudication.page(5, adjudicator="lin")).incidents) == 1
    await adjudication.settle("one", "lin", [Ruling("category", ("infrastructure",))])
    own = [each.labels for each in await store.annotations.list("one") if each.annotator == "lin" and not each.settles]
    assert own == [("operational",), ("deployment",)]


async def test_pages_of_disagreements_are_newest_first_and_end(adjudication: Adjudication, store: Store) -> None:
    for name in ("one", "two", "three"):
        await say(store, "ada", name, category="infrastructure")
        await say(store, "grace", name, category="infrastructure" if name == "two" else "operational")

    first = await adjudication.page(1)
    assert [each.incident_id for each in first.incidents] == ["three"]
    assert first.next_cursor is not None
    second = await adjudication.page(1, first.next_cursor)
    assert ([each.incident_id for each in second.incidents], second.next_cursor) == (["one"], None)


async def test_what_all_agree_on_becomes_gold_in_one_step_and_once(adjudication: Adjudication, store: Store) -> None:
    await say(store, "ada", "one", category="infrastructure", failure_mode="network")
    await say(store, "grace", "one", category="infrastructure", failure_mode="node")
    await say(store, "ada", "two", category="operational", detection="automated")
    await say(store, "grace", "two", category="infrastructure", detection="automated")
    await say(store, "ada", "three", category="operational")

    steps: list[tuple[int, int]] = []
    accepted = await adjudication.accept_agreed("lin", lambda _, done, total: steps.append((done, total)))

    assert (accepted.facets, accepted.incidents, accepted.left_out) == (2, 2, [])
    assert steps == [(2, 2)]
    assert await store.gold.find_many(["one", "two", "three"]) == {
        "one": {"category": ("infrastructure",)},
        "two": {"detection": ("automated",)},
    }
    assert (await adjudication.history("one"))[0].was_agreed
    assert (await adjudication.accept_agreed("lin")).facets == 0


async def test_agreement_on_a_child_waits_for_its_parent(adjudication: Adjudication, store: Store) -> None:
    await say(store, "ada", category="infrastructure", failure_mode="network")
    await say(store, "grace", category="operational", failure_mode="network")
    accepted = await adjudication.accept_agreed("lin")

    assert accepted.facets == 0
    assert "Settle 'category' first" in accepted.left_out[0]
    await adjudication.settle("one", "lin", [Ruling("category", ("operational",))])
    assert "belongs under" in (await adjudication.accept_agreed("lin")).left_out[0]


async def test_settling_goes_from_parent_to_child_and_can_be_revised(adjudication: Adjudication, store: Store) -> None:
    await say(store, "ada", category="infrastructure", failure_mode="network")
    await say(store, "grace", category="operational", failure_mode="deployment")

    dispute = await adjudication.dispute("one")
    assert (dispute and dispute.facet.id) == "category"
    await adjudication.settle("one", "lin", [Ruling("category", ("operational",), "A release.")])
    dispute = await adjudication.dispute("one")
    assert dispute is not None
    assert (dispute.facet.id, dispute.above) == ("failure_mode", "Category: Operational")
    assert {label.parent for label in dispute.labels} == {"operational"}
    await adjudication.settle("one", "lin", [Ruling("failure_mode", ("deployment",))])
    assert await adjudication.dispute("one") is None

    again = await adjudication.dispute("one", "failure_mode")
    assert again is not None
    assert again.settled is not None
    assert again.settled.labels == ("deployment",)
    await adjudication.settle("one", "lin", [Ruling("failure_mode", ("capacity_planning",), accepts_new_label=True)])
    assert (await store.gold.find_many(["one"]))["one"]["failure_mode"] == ("capacity_planning",)
    assert next(each.note for each in await store.annotations.list("one") if each.is_adjudication) == "A release."


async def test_a_page_ends_after_looking_at_so_many_and_goes_on_from_there(
    adjudication: Adjudication, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_CHUNK", 1)
    for name in ("one", "two", "three"):
        await say(store, "ada", name, category="infrastructure")
        await say(store, "grace", name, category="operational")
    await adjudication.settle("three", "lin", [Ruling("category", ("operational",))])

    first = await adjudication.page(5, most=1)
    assert (first.incidents, first.next_cursor is None) == ((), False)
    then = await adjudication.page(1, first.next_cursor)
    last = await adjudication.page(5, then.next_cursor)
    assert [each.incident_id for page in (then, last) for each in page.incidents] == ["two", "one"]
    assert last.next_cursor is None


async def test_a_disagreement_of_a_facet_is_shown_also_after_it_was_settled(
    adjudication: Adjudication, store: Store
) -> None:
    await say(store, "ada", category="infrastructure")
    await say(store, "grace", category="operational")
    open_ = await adjudication.dispute("one")
    assert open_ is not None
    assert ([each.annotator for each in open_.annotations], open_.settled) == (["ada", "grace"], None)

    await adjudication.settle("one", "lin", [Ruling("category", ("operational",))], open_.as_of)
    assert await adjudication.dispute("one") is None
    again = await adjudication.dispute("one", "category")
    assert again is not None
    assert again.settled is not None
    assert again.settled.labels == ("operational",)
    with pytest.raises(Outdated, match="have changed since"):
        await adjudication.settle("one", "max", [Ruling("category", ("infrastructure",))], open_.as_of)
    with pytest.raises(NotFound):
        await adjudication.dispute("none")


async def test_a_disagreement_is_not_shown_to_who_has_yet_to_label_it(adjudication: Adjudication, store: Store) -> None:
    await say(store, "ada", category="infrastructure")
    await say(store, "grace", category="operational")
    await store.assignments.add([assigned("one", "lin")])

    with pytest.raises(Conflict, match="still has to label 'category'"):
        await adjudication.dispute("one", adjudicator="lin")


async def test_what_all_agree_on_is_accepted_portion_by_portion(adjudication: Adjudication, store: Store) -> None:
    for name in ("one", "two"):
        for who in ("ada", "grace"):
            await say(store, who, name, category="operational")

    assert await adjudication.accept_agreed("lin", teams=("payments",)) == (0, 0, [], False)
    assert await adjudication.accept_agreed("lin", most=1) == (1, 1, [], True)
    assert await adjudication.accept_agreed("lin", most=1) == (1, 1, [], False)


async def test_labels_that_annotators_gave_come_first_and_a_third_needs_a_confirmation(
    adjudication: Adjudication, store: Store
) -> None:
    await say(store, "ada", category="operational")
    await say(store, "grace", category="inference_engine")
    dispute = await adjudication.dispute("one")
    assert dispute is not None
    ids = [label.id for label in dispute.labels]
    assert (set(ids[:2]), len(ids)) == ({"operational", "inference_engine"}, 4)

    with pytest.raises(InvalidInput, match="No annotator gave 'infrastructure'; they gave 'operational', 'inference"):
        await adjudication.settle("one", "lin", [Ruling("category", ("operational", "Infrastructure"))])
    assert await store.gold.find_many(["one"]) == {}

    await adjudication.settle("one", "lin", [Ruling("category", ("infrastructure",), accepts_new_label=True)])
    # What was settled once needs no second confirmation.
    await adjudication.settle("one", "max", [Ruling("category", ("infrastructure",))])


async def test_that_no_cause_is_told_is_settled_as_neither_category_nor_failure_mode(
    adjudication: Adjudication, casebook: Casebook, store: Store
) -> None:
    untold = Annotation(incident_id="one", facet="category", labels=(), annotator="ada")
    await casebook.annotate("one", [untold])
    await say(store, "grace", category="operational", failure_mode="deployment", detection="automated")
    with pytest.raises(InvalidInput, match="'not told', 'operational'"):
        await adjudication.settle("one", "lin", [Ruling("category", ("infrastructure",))])

    await adjudication.settle("one", "lin", [Ruling("category", (), "Only symptoms.")])

    assert await store.gold.find_many(["one"]) == {}
    verdicts = {each.adjudication.facet: each.adjudication.labels for each in await adjudication.history("one")}
    assert verdicts == {"category": (), "failure_mode": ()}
    assert (await adjudication.page(5)).incidents == ()


async def test_two_who_find_no_cause_told_agree(adjudication: Adjudication, casebook: Casebook, store: Store) -> None:
    for who in ("ada", "grace"):
        untold = Annotation(incident_id="one", facet="category", labels=(), annotator=who)
        await casebook.annotate("one", [untold])
        await say(store, who, detection="automated")

    accepted = await adjudication.accept_agreed("lin")

    assert (accepted.facets, accepted.left_out) == (3, [])
    assert await store.gold.find_many(["one"]) == {"one": {"detection": ("automated",)}}
    assert (await casebook.search("Write-up one", 1))[0].labels == {"detection": ("automated",)}
