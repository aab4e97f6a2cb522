from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.labels.annotation_job.conftest import TAXONOMY, assigned
from tests.parts import HashingEmbedder
from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.labels.annotation_job.corrections import confirm
from triage.redaction import Redactor
from triage.store import Store


@pytest.fixture
def casebook(store: Store) -> Iterator[Casebook]:
    history = ChromaHistory.open(None, HashingEmbedder.fingerprint)
    yield Casebook(store, history, Redactor(), HashingEmbedder(), TAXONOMY)
    history.close()


async def test_the_models_labels_become_those_of_a_person_who_saw_them(casebook: Casebook, store: Store) -> None:
    done = await confirm(casebook, store, ["one", "two", "one"], "ada")

    assert done == (2, 2, {})
    given = await store.annotations.list("one")
    assert [(each.labels, each.annotator, each.origin, each.saw_model, each.is_gold) for each in given] == [
        (("operational",), "ada", "human", True, False)
    ]
    assert await confirm(casebook, store, ["one"], "ada") == (
        0,
        0,
        {"one": "it has no model label that you could confirm"},
    )


async def test_confirmed_as_gold_an_incident_joins_the_history(casebook: Casebook, store: Store) -> None:
    await confirm(casebook, store, ["one"], "ada", is_gold=True)

    assert (await casebook.search("Write-up one", 1))[0].incident_id == "one"


async def test_what_the_annotator_said_stays(casebook: Casebook, store: Store) -> None:
    mine = Annotation(incident_id="one", facet="category", labels=("infrastructure",), annotator="ada")
    await store.record([mine])

    done = await confirm(casebook, store, ["one", "two"], "ada")

    assert (done.incidents, list(done.left_out)) == (1, ["one"])
    assert [each.labels for each in await store.annotations.list("one")] == [("infrastructure",)]


async def test_what_is_to_be_labelled_blind_is_left_out(casebook: Casebook, store: Store) -> None:
    await store.assignments.add([assigned("one", facets=("category",)), assigned("two", shows_model=True)])

    done = await confirm(casebook, store, ["one", "two"], "ada")

    assert done.incidents == 1
    assert "without seeing the model's" in done.left_out["one"]
    assert await store.annotations.list("one") == []
    # It was not put before them either.
    await store.record(
        [Annotation(incident_id="one", facet="category", labels=("x",), annotator="ada")], is_interactive=True
    )
    assert (await store.annotations.list("one"))[0].saw_model is None


async def test_an_incident_without_a_triage_holds_up_no_other(casebook: Casebook, store: Store) -> None:
    await store.incidents.add(Incident(id="waits", write_up="It waits."), TAXONOMY.id)

    done = await confirm(casebook, store, ["waits", "three"], "ada")

    assert (done.incidents, list(done.left_out)) == (1, ["waits"])
