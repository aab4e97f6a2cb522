from __future__ import annotations

from tests.labels.annotation_job.conftest import TAXONOMY, assigned
from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.history.casebook import Casebook
from triage.labels.annotation_job.corrections import confirm
from triage.store import Store

SHOWN = ("one", "two", "three")
"""The runs of the triages, which are named like their incidents."""


async def test_the_models_labels_become_those_of_a_person_who_saw_them(casebook: Casebook, store: Store) -> None:
    done = await confirm(casebook, store, ["one", "two", "one"], "ada", shown=SHOWN)

    assert done == (2, 2, {}, {})
    given = await store.annotations.list("one")
    assert [(each.labels, each.annotator, each.origin, each.saw_model, each.is_gold) for each in given] == [
        (("operational",), "ada", "human", True, False)
    ]
    assert [each.confirms for each in given] == ["one"]
    assert await confirm(casebook, store, ["one"], "ada", shown=SHOWN) == (
        0,
        0,
        {"one": "you have labelled all of it"},
        {},
    )


async def test_confirmed_as_gold_an_incident_joins_the_history(casebook: Casebook, store: Store) -> None:
    await confirm(casebook, store, ["one"], "ada", shown=SHOWN, is_gold=True)

    assert (await casebook.search("Write-up one", 1))[0].incident_id == "one"


async def test_what_the_annotator_said_stays(casebook: Casebook, store: Store) -> None:
    mine = Annotation(incident_id="one", facet="category", labels=("infrastructure",), annotator="ada")
    await store.record([mine])

    done = await confirm(casebook, store, ["one", "two"], "ada", shown=SHOWN)

    assert (done.incidents, list(done.left_out)) == (1, ["one"])
    assert [each.labels for each in await store.annotations.list("one")] == [("infrastructure",)]


async def test_what_is_to_be_labelled_blind_is_left_out(casebook: Casebook, store: Store) -> None:
    await store.assignments.add([assigned("one", facets=("category",)), assigned("two", shows_model=True)])

    done = await confirm(casebook, store, ["one", "two"], "ada", shown=SHOWN)

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

    done = await confirm(casebook, store, ["waits", "three"], "ada", shown=SHOWN)

    assert (done.incidents, list(done.left_out)) == (1, ["waits"])


async def triage_again(store: Store, incident_id: str, **labels: tuple[str, ...]) -> None:
    facets = {facet: FacetResult(facet=facet, labels=given) for facet, given in labels.items()}
    provenance = Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version)
    triage = Triage(incident_id=incident_id, facets=facets, provenance=provenance)
    await store.triages.save(f"{incident_id}:2", triage)


async def test_a_facet_on_which_the_triage_abstains_is_not_confirmed_but_told(casebook: Casebook, store: Store) -> None:
    await triage_again(store, "one", category=("operational",), detection=())
    await triage_again(store, "two", category=(), detection=())

    done = await confirm(casebook, store, ["one", "two"], "ada", shown=["one:2", "two:2"])

    assert (done.incidents, done.labels, done.abstained) == (1, 1, {"one": ("detection",)})
    assert done.left_out == {"two": "the triage abstains on category, detection: open it and choose the labels"}
    assert [each.facet for each in await store.annotations.list("one")] == ["category"]
    assert await store.annotations.list("two") == []


async def test_a_triage_that_was_not_shown_is_not_confirmed(casebook: Casebook, store: Store) -> None:
    await triage_again(store, "one", category=("infrastructure",))

    done = await confirm(casebook, store, ["one"], "ada", shown=SHOWN)

    assert done.left_out == {"one": "it was triaged again since: look at its labels first"}
    assert await store.annotations.list("one") == []


async def test_a_confirmed_child_does_not_contradict_what_the_person_said_of_its_parent(
    casebook: Casebook, store: Store
) -> None:
    await triage_again(store, "one", category=("inference_engine",), failure_mode=("timeout",))
    mine = Annotation(incident_id="one", facet="category", labels=("operational",), annotator="ada")
    await store.record([mine])

    done = await confirm(casebook, store, ["one"], "ada", shown=["one:2"])

    assert "'timeout' of facet 'failure_mode' belongs under 'inference_engine'" in done.left_out["one"]
    assert "'ada' labelled 'category' before" in done.left_out["one"]
