"""Labelling in the terminal, key by key, on a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from textual.widgets import Input, OptionList

from tests.cli.annotate.keys import listed, press, shown
from triage.cli.annotate.labelling_app import LabellingApp
from triage.domain.annotation import Annotation, Assignment
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.labels.annotation_job.labelling import Labelling
from triage.labels.annotation_job.session import Session
from triage.store import Store, upgrade

TAXONOMY = Taxonomy.load("llm_inference")
FACETS = ("category", "failure_mode", "detection")
LONG = "A network switch lost its uplinks. [bold]Not markup[/bold].\n" + "\n".join(f"Line {n}." for n in range(80))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    store = Store(url)
    for name, text in (("one", LONG), ("two", "A release was rolled back.")):
        await store.add_incident(Incident(id=name, title=f"Incident {name}", write_up=text), TAXONOMY.id)
        facets = {"category": FacetResult(facet="category", labels=("operational",))}
        provenance = Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version)
        await store.save_triage(name, Triage(incident_id=name, facets=facets, provenance=provenance))
    yield store
    await store.close()


async def opened(store: Store, *, facets: tuple[str, ...] = FACETS, shows_model: bool = False) -> LabellingApp:
    await store.assignments.add(
        [Assignment(incident_id=n, annotator="ada", facets=facets, shows_model=shows_model) for n in ("one", "two")]
    )
    return LabellingApp(await Session.open(Labelling(store, TAXONOMY), "ada"), "ada")


async def said(store: Store, incident_id: str = "one") -> list[tuple[str, tuple[str, ...], str]]:
    return [(a.facet, a.labels, a.note) for a in await store.annotations(incident_id)]


async def test_a_write_up_gives_the_terminal_no_orders(store: Store) -> None:
    app = await opened(store)
    async with app.run_test(size=(120, 40)):
        app.show_incident(Incident(id="three", title="Title\x1b[2J", write_up="It fell over.\x1b]52;c;ZWNobw==\x9b31m"))
        assert shown(app, "#title") == "Title\ufffd[2J"
        assert shown(app, "#write_up") == "It fell over.\ufffd]52;c;ZWNobw==\ufffd31m"


async def test_an_incident_is_labelled_by_a_few_keys_and_each_answer_is_saved_at_once(store: Store) -> None:
    app = await opened(store)
    async with app.run_test(size=(120, 40)) as pilot:
        assert "Incident one" in shown(app, "#title")
        assert "[bold]Not markup[/bold]" in shown(app, "#write_up")
        assert shown(app, "#question").startswith("Category: In which part")

        await press(pilot, "1", "4", "enter")
        assert await said(store) == [("category", ("infrastructure", "operational"), "")]
        assert "Saved: Category is Infrastructure, Operational." in shown(app, "#message")
        assert "question 2 of 3" in shown(app, "#top")

        await press(pilot, "enter")
        await press(pilot, "2")
        assert "Incident two" in shown(app, "#title")
        assert "1 of 2 incidents done" in shown(app, "#top")
    assert [facet for facet, _, _ in await said(store)] == list(FACETS)
    assert all(a.saw_model is False for a in await store.annotations("one"))


async def test_only_children_of_the_chosen_parent_are_offered(store: Store) -> None:
    app = await opened(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "1", "enter")
        names = [label.name for label in TAXONOMY.facet("failure_mode").children(["infrastructure"])]
        assert [line.split("] ")[1] for line in listed(app).splitlines()] == names
        await press(pilot, "b", "4", "enter")
        assert "Deployment  Operational" in listed(app)


async def test_the_definition_follows_the_highlighted_label(store: Store) -> None:
    app = await opened(store)
    async with app.run_test(size=(120, 40)) as pilot:
        first, second = TAXONOMY.facet("category").labels[:2]
        await pilot.pause()
        assert first.definition in shown(app, "#definition")
        await press(pilot, "down")
        assert second.definition in shown(app, "#definition")
        assert second.deciding_rule in shown(app, "#definition")
        assert await said(store) == []


async def test_a_choice_can_be_taken_back_before_it_is_confirmed_and_the_first_is_primary(store: Store) -> None:
    app = await opened(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "1", "4", "1")
        assert "[x] Operational  primary" in listed(app)
        assert "[ ] Infrastructure" in listed(app)
        await press(pilot, "down", "space", "enter")
    assert (await said(store))[0][1][0] == "operational"


async def test_a_note_is_kept_with_the_answer_and_letters_typed_into_it_choose_nothing(store: Store) -> None:
    app = await opened(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "n", *"sb1", "enter")
        assert "Note: sb1" in shown(app, "#message")
        await press(pilot, "4", "enter")
        assert await said(store) == [("category", ("operational",), "sb1")]

        await press(pilot, "n", *"lost", "escape")
        assert not app.query_one("#note", Input).has_class("-open")
        await press(pilot, "enter")
        assert (await said(store))[1][2] == ""


async def test_one_can_go_back_and_answer_anew(store: Store) -> None:
    app = await opened(store, facets=("category",))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "b")
        assert "nothing before" in shown(app, "#message")
        await press(pilot, "n", *"why", "enter", "1", "enter")
        assert "Incident two" in shown(app, "#title")
        await press(pilot, "b")
        assert "Incident one" in shown(app, "#title")
        assert "[x] Infrastructure  primary" in listed(app)
        await press(pilot, "1", "4", "enter")
    assert await said(store) == [("category", ("infrastructure",), "why"), ("category", ("operational",), "why")]


async def test_a_skipped_incident_comes_again_and_the_end_says_what_is_next(store: Store) -> None:
    app = await opened(store, facets=("category",))
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "s")
        assert "Incident two" in shown(app, "#title")
        await press(pilot, "1", "enter", "s")
        assert "nothing to skip to" in shown(app, "#message")
        await press(pilot, "1", "enter")
        assert "All 2 incidents are labelled" in shown(app, "#done")
        assert "triage annotate status" in shown(app, "#done")
        await press(pilot, "b")
        assert app.query_one("#body").display


async def test_keys_typed_ahead_do_not_answer_a_question_that_was_not_seen(store: Store) -> None:
    app = await opened(store, facets=("detection", "severity"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(*"11")
        await pilot.pause()
    answers = await said(store)
    assert answers[0][:2] == ("detection", (TAXONOMY.facet("detection").ids[0],))
    assert [facet for facet, _, _ in answers[1:]] in ([], ["severity"])


async def test_neither_the_others_labels_nor_the_models_are_to_be_seen(store: Store) -> None:
    note = "Grace said this."
    await store.record(
        [Annotation(incident_id="one", facet="category", labels=("operational",), annotator="grace", note=note)]
    )
    app = await opened(store)
    async with app.run_test(size=(120, 40)):
        assert "model" not in listed(app).replace("Model configuration", "")
        assert note not in app.export_screenshot().replace("&#160;", " ")
        assert "[x]" not in listed(app)


async def test_the_models_label_is_shown_where_the_assignment_allows_it_and_that_is_kept(store: Store) -> None:
    app = await opened(store, shows_model=True)
    async with app.run_test(size=(120, 40)) as pilot:
        assert "Operational  the model's" in listed(app)
        await press(pilot, "1", "enter")
    assert [a.saw_model for a in await store.annotations("one")] == [True]


async def test_ctrl_c_ends_it_and_what_was_answered_is_there(store: Store) -> None:
    app = await opened(store)
    async with app.run_test(size=(120, 40)) as pilot:
        await press(pilot, "1", "enter", "ctrl+c")
        await pilot.pause()
        assert not app.is_running
    assert await said(store) == [("category", ("infrastructure",), "")]


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (200, 60)])
async def test_the_text_scrolls_and_everything_fits_the_terminal(store: Store, size: tuple[int, int]) -> None:
    app = await opened(store)
    async with app.run_test(size=size) as pilot:
        assert app.query_one("#text").size.height >= 5
        assert app.query_one(OptionList).size.height >= 4
        assert app.query_one("#about").size.height >= 3
        before = app.query_one("#text").scroll_y
        await press(pilot, "pagedown")
        assert app.query_one("#text").scroll_y > before
