from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.labels.annotation_job.conftest import TAXONOMY, assigned
from triage.domain.errors import InvalidInput, NotFound
from triage.domain.incident import Incident
from triage.labels.annotation_job.labelling import Labelling
from triage.labels.annotation_job.session import Session
from triage.store import Store, upgrade


async def asked(session: Session) -> tuple[str, str] | None:
    question = await session.question()
    return question and (question.incident.id, question.facet.id)


async def test_incidents_are_asked_in_their_order_and_every_answer_is_kept_at_once(
    store: Store, labelling: Labelling
) -> None:
    await store.assignments.add([assigned("two"), assigned("one"), assigned("one", "grace")])
    session = await Session.open(labelling, "ada")

    assert await asked(session) == ("two", "category")
    await session.answer(("Infrastructure",), "The switch.")
    assert [(a.labels, a.note, a.annotator) for a in await store.annotations("two")] == [
        (("infrastructure",), "The switch.", "ada")
    ]
    assert await asked(session) == ("two", "failure_mode")
    await session.answer(("network",))
    await session.answer(("restart", "failover"))
    assert (await asked(session), session.progress) == (("one", "category"), (2, 1))

    again = await Session.open(labelling, "ada")
    assert (await asked(again), again.progress) == (("one", "category"), (2, 1))


async def test_only_labels_under_the_own_parent_are_offered_and_accepted(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one")])
    session = await Session.open(labelling, "ada")
    await session.answer(("infrastructure", "operational"))
    question = await session.question()

    assert question is not None
    assert {label.parent for label in question.labels} == {"infrastructure", "operational"}
    with pytest.raises(InvalidInput, match="does not fit"):
        await session.answer(("timeout",))
    assert await asked(session) == ("one", "failure_mode")


async def test_all_labels_are_offered_where_the_parent_is_not_asked(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one", facets=("failure_mode",))])
    question = await (await Session.open(labelling, "ada")).question()

    assert question is not None
    assert len(question.labels) == len(TAXONOMY.facet("failure_mode").labels)


async def test_a_new_parent_asks_for_the_child_again(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one")])
    session = await Session.open(labelling, "ada")
    await session.answer(("infrastructure",))
    await session.answer(("network",))

    assert session.back()
    assert session.back()
    question = await session.question()
    assert question is not None
    assert (question.facet.id, question.given and question.given.labels) == ("category", ("infrastructure",))
    await session.answer(("operational",))

    assert await asked(session) == ("one", "failure_mode")
    await session.answer(("deployment",))
    assert await asked(session) == ("one", "mitigation")


async def test_one_can_go_back_into_an_incident_that_was_done(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one", facets=("category",)), assigned("two", facets=("category",))])
    session = await Session.open(labelling, "ada")
    await session.answer(("infrastructure",))
    await session.answer(("infrastructure",))
    assert await asked(session) is None

    assert session.back()
    assert await asked(session) == ("two", "category")
    assert session.back()
    assert await asked(session) == ("one", "category")
    assert not session.back()
    await session.answer(("operational",))
    assert (await store.annotations("one"))[-1].labels == ("operational",)


async def test_a_skipped_incident_comes_again_at_the_end(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one", facets=("category",)), assigned("two", facets=("category",))])
    session = await Session.open(labelling, "ada")

    assert session.skip()
    assert await asked(session) == ("two", "category")
    await session.answer(("infrastructure",))
    assert await asked(session) == ("one", "category")
    assert not session.skip()
    assert session.progress == (2, 1)


async def test_one_can_leave_what_one_went_back_to_as_it_was(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned(name, facets=("category",)) for name in ("one", "two", "three")])
    session = await Session.open(labelling, "ada")
    await session.answer(("infrastructure",))

    assert session.back()
    assert await asked(session) == ("one", "category")
    assert session.skip()
    assert await asked(session) == ("two", "category")
    await session.answer(("infrastructure",))
    await session.answer(("infrastructure",))
    assert await asked(session) is None


async def test_labels_are_given_blind_and_say_so(store: Store, labelling: Labelling) -> None:
    await store.assignments.add([assigned("one"), assigned("two", shows_model=True)])
    session = await Session.open(labelling, "ada")
    question = await session.question()
    assert question is not None
    assert question.model is None
    await session.answer(("infrastructure",))

    session.skip()
    question = await session.question()
    assert question is not None
    assert question.model == ("operational",)
    await session.answer(("operational",))

    assert [(await store.annotations(name))[0].saw_model for name in ("one", "two")] == [False, True]


async def test_without_an_assignment_the_next_command_is_told(store: Store, labelling: Labelling) -> None:
    with pytest.raises(NotFound, match="triage annotate assign --annotators ada"):
        await Session.open(labelling, "ada")
    await store.assignments.add([assigned("one", "grace")])
    with pytest.raises(NotFound, match="There are assignments for: grace"):
        await Session.open(labelling, "ada")


moves = st.lists(st.one_of(st.just("skip"), st.just("back"), st.integers(0, 30)), max_size=25)


@pytest.mark.slow
@settings(max_examples=25, deadline=None)
@given(moves)
def test_whatever_one_does_the_store_holds_the_last_answers_and_they_fit(
    tmp_path_factory: pytest.TempPathFactory, moves: list[str | int]
) -> None:
    async def sit() -> None:
        url = f"sqlite:///{tmp_path_factory.mktemp('session') / 'triage.db'}"
        await upgrade(url)
        store = Store(url)
        for name in "ab":
            await store.add_incident(Incident(id=name, write_up=name), TAXONOMY.id)
        await store.assignments.add([assigned(name) for name in "ab"])
        labelling = Labelling(store, TAXONOMY)
        session = await Session.open(labelling, "ada")
        said: dict[tuple[str, str], tuple[str, ...]] = {}
        for move in moves:
            question = await session.question()
            if move == "skip":
                session.skip()
            elif move == "back":
                session.back()
            elif question is not None:
                several = question.facet.cardinality != "single" and int(move) % 2
                labels = tuple(label.id for label in question.labels[int(move) % len(question.labels) :])
                labels = labels[: 2 if several else 1]
                await session.answer(labels)
                said[question.incident.id, question.facet.id] = labels
        pieces = await labelling.work("ada")
        assert {(p.assignment.incident_id, f): a.labels for p in pieces for f, a in p.given.items()} == said
        assert session.progress == labelling.progress(pieces)
        for piece in pieces:
            if not piece.open_facets(TAXONOMY):
                TAXONOMY.validate_labels(piece.labels)
        await store.close()

    asyncio.run(sit())
