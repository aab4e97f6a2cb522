from __future__ import annotations

import pytest

from tests.labels.annotation_job.conftest import TAXONOMY, assigned
from triage.domain.annotation import Annotation
from triage.domain.errors import InvalidInput
from triage.labels.annotation_job.labelling import Answer, Labelling, Piece, following
from triage.store import Store


async def piece_of(store: Store, labelling: Labelling, **fields: object) -> Piece:
    await store.assignments.add([assigned("one", **fields)])
    return (await labelling.work("ada"))[0]


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
    draft = {"category": Answer(("operational",), "Why."), "mitigation": Answer(())}
    category, failure_mode, mitigation = task.sheet(TAXONOMY, draft)
    assert (category.given, category.is_open) == (Answer(("operational",), "Why."), False)
    assert {label.parent for label in failure_mode.labels} == {"operational"}
    assert (failure_mode.is_open, mitigation.is_open) == (True, True)
    assert await store.annotations("one") == []


async def test_several_answers_are_kept_together_or_none_is(store: Store, labelling: Labelling) -> None:
    piece = await piece_of(store, labelling)

    with pytest.raises(InvalidInput, match="does not fit"):
        await labelling.give_all(piece, {"failure_mode": Answer(("timeout",)), "category": Answer(("infrastructure",))})
    assert await store.annotations("one") == []

    after = await labelling.give_all(
        piece, {"failure_mode": Answer(("network",)), "category": Answer(("infrastructure",), "The switch.")}
    )
    assert after.labels == {"category": ("infrastructure",), "failure_mode": ("network",)}
    assert [facet.id for facet in after.open_facets(TAXONOMY)] == ["mitigation"]
    assert [(each.facet, each.note, each.saw_model) for each in await store.annotations("one")] == [
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
        found = following(pieces, TAXONOMY, name)
        return found and found.assignment.incident_id

    assert [after(name) for name in (None, "three", "one", "two", "no such")] == [
        "three",
        "two",
        "two",
        "three",
        "three",
    ]
    assert following([], TAXONOMY) is None


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
    await store.assignments.serve("one", "ada", showed_model=True)
    assert await labelling.waiting("ada", blind=True) == {}
    assert "one" in await labelling.waiting("ada")
    assert await labelling.waiting("grace") == {}
