from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.annotation_job.conftest import TAXONOMY, assigned
from triage.domain.annotation import NOT_TOLD, Annotation
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident
from triage.labels.annotation_job.labelling import Answer, FacetQuestion, Labelling, Task, WorkItem, next_open
from triage.store import Store, upgrade


async def piece_of(store: Store, labelling: Labelling, **fields: object) -> WorkItem:
    await store.assignments.add([assigned("one", **fields)])
    return (await labelling.work("ada"))[0]


async def next_task(labelling: Labelling, *skip: str) -> Task:
    task, _ = await labelling.next("ada", skip)
    assert task is not None
    return task


def asked(task: Task) -> dict[str, FacetQuestion]:
    return {question.facet.id: question for question in task.sheet(TAXONOMY)}


async def test_incidents_come_in_their_order_and_every_answer_is_stored_at_once(
    store: Store, labelling: Labelling
) -> None:
    await store.assignments.add([assigned("two"), assigned("one"), assigned("one", "grace")])
    task = await next_task(labelling)
    assert task.incident.id == "two"

    piece = await labelling.give_all(task.item, {"category": Answer(("Infrastructure",), "The switch.")})
    assert [(a.labels, a.note, a.annotator) for a in await store.annotations.list("two")] == [
        (("infrastructure",), "The switch.", "ada")
    ]
    assert [facet.id for facet in piece.open_facets(TAXONOMY)] == ["failure_mode", "mitigation"]
    answers = {"failure_mode": Answer(("network",)), "mitigation": Answer(("restart", "failover"))}
    await labelling.give_all(piece, answers)

    task, progress = await labelling.next("ada")
    assert (task and task.incident.id, progress) == ("one", (2, 1))


async def test_only_labels_under_the_own_parent_are_offered_and_accepted(store: Store, labelling: Labelling) -> None:
    piece = await piece_of(store, labelling)
    await labelling.give_all(piece, {"category": Answer(("infrastructure", "operational"))})

    task = await next_task(labelling)
    question = asked(task)["failure_mode"]
    assert {label.parent for label in question.labels} == {"infrastructure", "operational"}
    with pytest.raises(InvalidInput, match="does not fit"):
        await labelling.give_all(task.item, {"failure_mode": Answer(("timeout",))})
    assert asked(await next_task(labelling))["failure_mode"].is_open


async def test_all_labels_are_offered_where_the_parent_is_not_asked(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one", facets=("failure_mode",))])

    question = asked(await next_task(labelling))["failure_mode"]
    assert len(question.labels) == len(TAXONOMY.facet("failure_mode").labels)


async def test_a_new_parent_asks_for_the_child_again(store: Store, labelling: Labelling) -> None:
    piece = await piece_of(store, labelling)
    piece = await labelling.give_all(
        piece, {"category": Answer(("infrastructure",)), "failure_mode": Answer(("network",))}
    )
    assert [facet.id for facet in piece.open_facets(TAXONOMY)] == ["mitigation"]

    piece = await labelling.give_all(piece, {"category": Answer(("operational",))})
    assert [facet.id for facet in piece.open_facets(TAXONOMY)] == ["failure_mode", "mitigation"]
    piece = await labelling.give_all(piece, {"failure_mode": Answer(("deployment",))})
    assert [facet.id for facet in piece.open_facets(TAXONOMY)] == ["mitigation"]


async def test_an_incident_that_is_done_can_be_answered_again(store: Store, labelling: Labelling) -> None:
    piece = await piece_of(store, labelling, facets=("category",))
    piece = await labelling.give_all(piece, {"category": Answer(("infrastructure",))})
    assert (await labelling.next("ada"))[0] is None

    await labelling.give_all(piece, {"category": Answer(("operational",))})
    assert (await store.annotations.list("one"))[-1].labels == ("operational",)


async def test_a_skipped_incident_comes_again_at_the_end(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one", facets=("category",)), assigned("two", facets=("category",))])

    task = await next_task(labelling, "one")
    assert task.incident.id == "two"
    await labelling.give_all(task.item, {"category": Answer(("infrastructure",))})
    assert (await next_task(labelling, "one")).incident.id == "one"


async def test_an_annotation_records_whether_the_models_labels_were_shown(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one"), assigned("two", shows_model=True)])
    await store.record([Annotation(incident_id="one", facet="category", labels=("operational",), annotator="grace")])

    task = await next_task(labelling)
    assert (task.model, task.item.given) == (None, {})
    await labelling.give_all(task.item, {"category": Answer(("infrastructure",))})
    task = await next_task(labelling, "one")
    assert task.model == {"category": ("operational",)}
    await labelling.give_all(task.item, {"category": Answer(("operational",))})

    assert [(await store.annotations.list(name))[-1].saw_model for name in ("one", "two")] == [False, True]


async def test_without_an_assignment_the_error_names_the_next_command(store: Store, labelling: Labelling) -> None:
    with pytest.raises(NotFound, match="triage annotate assign --annotators ada"):
        await labelling.work("ada")
    await store.assignments.add([assigned("one", "grace")])
    with pytest.raises(NotFound, match="Annotators with assignments: grace"):
        await labelling.work("ada")


async def test_a_sheet_has_all_questions_and_shows_what_answers_would_change(
    store: Store, labelling: Labelling
) -> None:
    piece = await piece_of(store, labelling)
    task = await labelling.serve(piece)

    assert [(one.facet.id, len(one.labels), one.is_open) for one in task.sheet(TAXONOMY)] == [
        ("category", 4, True),
        ("failure_mode", 0, False),
        ("mitigation", 13, True),
    ]
    draft = {"category": Answer(("operational",), "Why."), "mitigation": Answer(None)}
    category, failure_mode, mitigation = task.sheet(TAXONOMY, draft)
    assert (category.given, category.is_open) == (Answer(("operational",), "Why."), False)
    assert {label.parent for label in failure_mode.labels} == {"operational"}
    assert (failure_mode.is_open, mitigation.is_open) == (True, True)
    assert await store.annotations.list("one") == []


async def test_several_answers_are_kept_together_or_none_is(store: Store, labelling: Labelling) -> None:
    piece = await piece_of(store, labelling)

    with pytest.raises(InvalidInput, match="does not fit"):
        await labelling.give_all(piece, {"failure_mode": Answer(("timeout",)), "category": Answer(("infrastructure",))})
    assert await store.annotations.list("one") == []

    after = await labelling.give_all(
        piece, {"failure_mode": Answer(("network",)), "category": Answer(("infrastructure",), "The switch.")}
    )
    assert after.labels == {"category": ("infrastructure",), "failure_mode": ("network",)}
    assert [facet.id for facet in after.open_facets(TAXONOMY)] == ["mitigation"]
    assert [(each.facet, each.note, each.saw_model) for each in await store.annotations.list("one")] == [
        ("category", "The switch.", None),
        ("failure_mode", "", None),
    ]


async def test_the_next_one_is_the_first_behind_that_is_not_done_and_then_the_first_of_all(
    store: Store, labelling: Labelling
) -> None:
    await store.assignments.add([assigned(name, facets=("category",)) for name in ("three", "one", "two")])
    await store.record(
        [Annotation(incident_id="one", facet="category", labels=("operational",), annotator="ada")],
    )
    pieces = await labelling.work("ada")

    def after(name: str | None) -> str | None:
        found = next_open(pieces, TAXONOMY, name)
        return found and found.assignment.incident_id

    assert [after(name) for name in (None, "three", "one", "two", "no such")] == [
        "three",
        "two",
        "two",
        "three",
        "three",
    ]
    assert next_open([], TAXONOMY) is None


async def test_what_an_annotator_has_yet_to_label_is_told_blind_or_not(store: Store, labelling: Labelling) -> None:
    await store.assignments.add(
        [assigned("one"), assigned("two", shows_model=True), assigned("three", facets=("category",))]
    )
    await store.record(
        [
            Annotation(incident_id=name, facet="category", labels=("operational",), annotator="ada")
            for name in ("one", "three")
        ]
    )

    assert await labelling.waiting("ada") == {
        "one": {"failure_mode", "mitigation"},
        "two": {"category", "failure_mode", "mitigation"},
    }
    assert await labelling.waiting("ada", blind=True) == {"one": {"failure_mode", "mitigation"}}
    assert await labelling.waiting("ada", ["two", "three"], blind=True) == {}
    # What they have seen by now they can't label blind any more.
    await store.assignments.record_serving("one", "ada", showed_model=True)
    assert await labelling.waiting("ada", blind=True) == {}
    assert "one" in await labelling.waiting("ada")
    assert await labelling.waiting("grace") == {}


answers = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 30)), max_size=25)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(answers)
def test_the_store_holds_the_last_answers_and_complete_ones_fit_together(
    tmp_path_factory: pytest.TempPathFactory, answers: list[tuple[int, int]]
) -> None:
    async def label() -> None:
        url = f"sqlite:///{tmp_path_factory.mktemp('labelling') / 'triage.db'}"
        await upgrade(url)
        store = Store(url)
        for name in "ab":
            await store.incidents.add(Incident(id=name, write_up=name), TAXONOMY.id)
        await store.assignments.add([assigned(name) for name in "ab"])
        labelling = Labelling(store, TAXONOMY)
        last: dict[tuple[str, str], tuple[str, ...]] = {}
        for place, choice in answers:
            piece = (await labelling.work("ada"))[place % 2]
            questions = [question for question in (await labelling.serve(piece)).sheet(TAXONOMY) if question.labels]
            question = questions[place // 2 % len(questions)]
            several = question.facet.cardinality != "single" and choice % 2
            labels = tuple(label.id for label in question.labels[choice % len(question.labels) :])
            labels = labels[: 2 if several else 1]
            await labelling.give_all(piece, {question.facet.id: Answer(labels)})
            last[piece.assignment.incident_id, question.facet.id] = labels
        pieces = await labelling.work("ada")
        assert {(p.assignment.incident_id, f): a.labels for p in pieces for f, a in p.given.items()} == last
        for piece in pieces:
            if not piece.open_facets(TAXONOMY):
                TAXONOMY.validate_labels(piece.labels)
        await store.close()

    asyncio.run(label())


async def test_that_the_cause_is_not_told_answers_the_failure_mode_too(store: Store, labelling: Labelling) -> None:
    piece = await piece_of(store, labelling)

    piece = await labelling.give_all(piece, {"category": Answer((), "Only symptoms.")})

    assert [facet.id for facet in piece.open_facets(TAXONOMY)] == ["mitigation"]
    given = await store.annotations.list("one")
    assert [(each.facet, each.labels, each.answer) for each in given] == [
        ("category", (), (NOT_TOLD,)),
        ("failure_mode", (), (NOT_TOLD,)),
    ]
    # A label of the parent asks for the failure mode again.
    piece = await labelling.give_all(piece, {"category": Answer(("operational",))})
    assert [facet.id for facet in piece.open_facets(TAXONOMY)] == ["failure_mode", "mitigation"]


async def test_a_facet_with_a_label_for_what_is_not_told_takes_that(store: Store, labelling: Labelling) -> None:
    piece = await piece_of(store, labelling)

    with pytest.raises(InvalidInput, match="give 'undisclosed' if the write-up doesn't tell"):
        await labelling.give_all(piece, {"mitigation": Answer(())})
