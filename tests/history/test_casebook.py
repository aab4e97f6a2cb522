from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.parts import HashingEmbedder
from triage.domain.annotation import Annotation, Labels
from triage.domain.errors import Conflict, InvalidInput, NotFound
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM
from triage.domain.taxonomy import Taxonomy, UnknownLabel
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.redaction import Redactor
from triage.store import Store

TAXONOMY = Taxonomy.load("llm_inference")
SWITCH = Incident(id="switch", title="Zone unreachable", write_up="A network switch lost its uplinks in one zone.")
KERNEL = Incident(id="kernel", title="Garbage tokens", write_up="A new attention kernel wrote corrupted output.")
RECORDS: list[tuple[Incident, Labels]] = [
    (SWITCH, {"category": ("infrastructure",), "failure_mode": ("network",)}),
    (KERNEL, {"category": ("inference_engine",), "failure_mode": ("wrong_output",)}),
]


@pytest.fixture
def embedder() -> HashingEmbedder:
    return HashingEmbedder()


@pytest.fixture
def history() -> Iterator[ChromaHistory]:
    history = ChromaHistory.open(None, HashingEmbedder().fingerprint)
    yield history
    history.close()


@pytest.fixture
def casebook(store: Store, history: ChromaHistory, embedder: HashingEmbedder) -> Casebook:
    return Casebook(store, history, Redactor(), embedder, TAXONOMY)


def gold(label: str, facet: str = "category", annotator: str = "ada", is_gold: bool = True) -> Annotation:
    return Annotation(incident_id="-", facet=facet, labels=(label,), annotator=annotator, is_gold=is_gold)


async def test_the_same_incident_is_accepted_once(casebook: Casebook) -> None:
    assert await casebook.accept(SWITCH)
    assert not await casebook.accept(SWITCH)
    assert not await casebook.accept(SWITCH.model_copy(update={"write_up": f"  {SWITCH.write_up}\r\n"}))


async def test_an_id_with_other_content_is_a_conflict_that_names_what_differs(casebook: Casebook) -> None:
    await casebook.accept(SWITCH)

    with pytest.raises(Conflict) as caught:
        await casebook.accept(SWITCH.model_copy(update={"severity": "SEV-1", "write_up": "Something else."}))

    assert caught.value.data["fields"] == ["write_up", "severity"]


async def test_a_correction_joins_the_history_at_once(casebook: Casebook) -> None:
    await casebook.accept(SWITCH)
    assert await casebook.search(SWITCH.write_up, 1) == []

    await casebook.annotate("switch", [gold("infrastructure")])

    found = (await casebook.search(SWITCH.write_up, 1))[0]
    assert (found.incident_id, found.labels) == ("switch", {"category": ("infrastructure",)})


async def test_a_later_gold_label_takes_the_place_of_an_earlier_one(casebook: Casebook) -> None:
    await casebook.accept(SWITCH)
    await casebook.annotate("switch", [gold("infrastructure")])
    await casebook.annotate("switch", [gold("operational", annotator="grace")])

    assert (await casebook.search("switch", 1))[0].labels == {"category": ("operational",)}


async def test_an_incident_whose_gold_label_is_withdrawn_leaves_the_history(casebook: Casebook) -> None:
    await casebook.accept(SWITCH)
    await casebook.annotate("switch", [gold("infrastructure")])
    await casebook.annotate("switch", [gold("infrastructure", is_gold=False)])

    assert await casebook.search("switch", 1) == []
    assert (await casebook.indexer.compare()).is_clean


async def test_an_annotation_that_is_not_gold_is_no_history(casebook: Casebook, store: Store) -> None:
    await casebook.accept(SWITCH)
    await casebook.annotate("switch", [gold("Infrastructure", is_gold=False)])

    assert [a.labels for a in await store.annotations.list("switch")] == [("infrastructure",)]
    assert await casebook.search("switch", 1) == []


async def test_an_unknown_label_stores_nothing_of_the_whole_list(casebook: Casebook, store: Store) -> None:
    await casebook.accept(SWITCH)

    with pytest.raises(UnknownLabel, match="infrastructure"):
        await casebook.annotate("switch", [gold("infrastructure"), gold("infrastrcture", annotator="grace")])

    assert await store.annotations.list("switch") == []


async def test_a_gold_child_label_must_fit_the_gold_parent(casebook: Casebook) -> None:
    await casebook.accept(SWITCH)
    await casebook.annotate("switch", [gold("infrastructure")])

    with pytest.raises(InvalidInput, match="belongs under"):
        await casebook.annotate("switch", [gold("latency_spike", facet="failure_mode")])


@pytest.mark.parametrize("is_gold", [True, False])
async def test_labels_of_one_annotator_do_not_contradict_each_other(casebook: Casebook, *, is_gold: bool) -> None:
    parent = gold("operational", is_gold=is_gold)
    child = gold("timeout", facet="failure_mode", is_gold=is_gold)
    told = "'timeout' of facet 'failure_mode' belongs under 'inference_engine', but 'category' is operational"
    await casebook.accept(SWITCH)
    with pytest.raises(InvalidInput, match=told):
        await casebook.annotate("switch", [parent, child])

    for name, first, second in (("one", parent, child), ("two", child, parent)):
        await casebook.accept(SWITCH.model_copy(update={"id": name}))
        await casebook.annotate(name, [first])
        with pytest.raises(InvalidInput, match=rf"{told}.* before: to change it, send both together"):
            await casebook.annotate(name, [second])
        await casebook.annotate(name, [gold("inference_engine", is_gold=is_gold), child])


async def test_annotators_may_contradict_each_other(casebook: Casebook) -> None:
    await casebook.accept(SWITCH)

    await casebook.annotate("switch", [gold("operational", is_gold=False)])
    await casebook.annotate("switch", [gold("timeout", "failure_mode", "grace", is_gold=False)])


async def test_imports_refuse_labels_that_contradict_each_other(casebook: Casebook) -> None:
    await casebook.accept(SWITCH)
    parent = Annotation(incident_id="switch", facet="category", labels=("operational",), annotator="ada")
    child = parent.model_copy(update={"facet": "failure_mode", "labels": ("timeout",)})

    with pytest.raises(InvalidInput, match="Incident 'switch': 'timeout' of facet 'failure_mode' belongs under"):
        await casebook.import_annotations([parent, child])
    await casebook.import_history([(KERNEL, {"category": ("operational",)})], "import", "derived", team=SHARED_TEAM)
    record: tuple[Incident, Labels] = (KERNEL, {"failure_mode": ("timeout",)})
    with pytest.raises(InvalidInput, match="'import' labelled 'category' before"):
        await casebook.import_history([record], "import", "derived", team=SHARED_TEAM)


async def test_gold_that_says_not_told_takes_labels_out_of_the_history(casebook: Casebook, store: Store) -> None:
    await casebook.accept(SWITCH)
    await casebook.annotate("switch", [gold("infrastructure"), gold("network", facet="failure_mode")])

    stored = await casebook.annotate("switch", [gold("infrastructure").model_copy(update={"labels": ()})])

    assert [(each.facet, each.labels) for each in stored] == [("category", ()), ("failure_mode", ())]
    assert await store.gold.find_many(["switch"]) == {}
    assert (await store.gold.count(), await store.gold.list_ids()) == (0, set())
    assert await casebook.search("switch", 1) == []
    assert (await casebook.indexer.compare()).is_clean


async def test_only_a_stored_incident_can_be_annotated(casebook: Casebook) -> None:
    with pytest.raises(NotFound):
        await casebook.annotate("nobody", [gold("infrastructure")])


async def test_a_person_cannot_be_named_like_a_model(casebook: Casebook) -> None:
    await casebook.accept(SWITCH)
    with pytest.raises(InvalidInput, match="like a model"):
        await casebook.annotate("switch", [gold("infrastructure", annotator="model:x@1")])


async def test_importing_the_history_twice_is_like_importing_it_once(
    casebook: Casebook, store: Store, embedder: HashingEmbedder
) -> None:
    done: list[int] = []
    await casebook.import_history(RECORDS, "the project", "derived", lambda _, count, __: done.append(count))
    await casebook.import_history(RECORDS, "the project", "derived")

    assert done == [2]
    assert embedder.embedded == 2
    assert len(await store.annotations.list("switch")) == 2
    assert (await casebook.search("uplinks of a switch", 1))[0].labels == RECORDS[0][1]
    assert [i.status for i in (await store.incidents.list(5)).incidents] == ["imported", "imported"]


async def test_an_import_with_an_unknown_label_stores_nothing(casebook: Casebook, store: Store) -> None:
    with pytest.raises(UnknownLabel):
        await casebook.import_history([*RECORDS, (SWITCH, {"category": ("weather",)})], "the project", "derived")

    assert not (await store.incidents.list(5)).incidents


async def test_a_newer_edition_of_the_history_replaces_the_older_one(
    casebook: Casebook, store: Store, embedder: HashingEmbedder
) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    newer = KERNEL.model_copy(update={"write_up": "A quantised kernel produced wrong tokens."})
    await casebook.import_history([(newer, RECORDS[1][1])], "the project", "derived")

    assert (await store.incidents.get("kernel")).incident == newer
    assert "quantised" in (await casebook.search("quantised", 1))[0].excerpt
    assert embedder.embedded == 4


async def test_an_import_does_not_overwrite_what_someone_posted(casebook: Casebook) -> None:
    await casebook.accept(SWITCH.model_copy(update={"write_up": "Mine."}))
    with pytest.raises(Conflict, match="was posted"):
        await casebook.import_history(RECORDS, "the project", "derived")


async def test_posting_an_imported_incident_asks_for_its_triage(casebook: Casebook, store: Store) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    assert not await casebook.accept(SWITCH)

    assert [pending.id for pending in await store.attempts.list_pending()] == ["switch"]


async def test_a_lost_index_is_built_again_from_the_vectors_in_sql(
    casebook: Casebook, store: Store, embedder: HashingEmbedder
) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    fresh = ChromaHistory.open(None, embedder.fingerprint)
    after = Casebook(store, fresh, Redactor(), embedder, TAXONOMY)
    progress: list[tuple[int, int]] = []

    assert not (await after.indexer.compare()).is_clean
    assert await after.indexer.rebuild(lambda _, done, total: progress.append((done, total))) == 2
    assert (await after.indexer.compare()).is_clean
    assert await after.search("a kernel", 2) == await casebook.search("a kernel", 2)
    # Two for the searches; the incidents' own vectors came from the store.
    assert embedder.embedded == 4
    assert progress == [(0, 2), (2, 2)]
    fresh.close()


async def test_an_index_with_labels_that_were_corrected_elsewhere_is_found_out(
    casebook: Casebook, store: Store
) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    assert (await casebook.indexer.compare()).is_clean

    await store.record([gold("operational", annotator="lin").model_copy(update={"incident_id": "switch"})])

    assert not (await casebook.indexer.compare()).is_clean


async def test_another_embedder_makes_and_keeps_vectors_of_its_own(casebook: Casebook, store: Store) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    other = HashingEmbedder("hashing-other")
    history = ChromaHistory.open(None, other.fingerprint)

    await Casebook(store, history, Redactor(), other, TAXONOMY).indexer.rebuild()

    assert set(await store.vectors.find_many("hashing-other", ["switch", "kernel"])) == {"switch", "kernel"}
    assert set(await store.vectors.find_many("hashing-64", ["switch", "kernel"])) == {"switch", "kernel"}
    history.close()


async def test_the_index_never_holds_what_is_redacted_but_the_store_does(casebook: Casebook, store: Store) -> None:
    leaky = Incident(id="leaky", write_up="Ask jane.doe@example.org why the switch in the zone lost its uplinks.")
    await casebook.accept(leaky)
    await casebook.annotate("leaky", [gold("infrastructure")])

    excerpt = (await casebook.search("switch uplinks", 1))[0].excerpt
    assert "jane.doe" not in excerpt
    assert "uplinks" in excerpt
    assert (await store.incidents.get("leaky")).incident == leaky


async def test_annotations_made_elsewhere_come_in_with_their_incidents_and_once(
    casebook: Casebook, store: Store
) -> None:
    await casebook.accept(SWITCH)
    given = [
        Annotation(incident_id="switch", facet="category", labels=("Infrastructure",), annotator="ada"),
        Annotation(incident_id="kernel", facet="category", labels=("operational",), annotator="ada", is_gold=True),
    ]
    incidents = {"kernel": KERNEL, "switch": SWITCH.model_copy(update={"write_up": "Another text."})}

    assert await casebook.import_annotations(given, incidents) == 2
    assert await casebook.import_annotations(given, incidents) == 0

    assert (await store.incidents.get("switch")).incident == SWITCH
    assert (await store.incidents.get("kernel")).status == "imported"
    assert [n.incident_id for n in await casebook.search("kernel", 5)] == ["kernel"]
    assert (await casebook.indexer.compare()).is_clean


async def test_annotations_of_an_unknown_incident_or_that_cannot_be_gold_together_store_nothing(
    casebook: Casebook, store: Store
) -> None:
    await casebook.accept(SWITCH)
    fine = Annotation(incident_id="switch", facet="category", labels=("operational",), annotator="ada", is_gold=True)
    unknown = fine.model_copy(update={"incident_id": "nobody"})
    unfit = fine.model_copy(update={"facet": "failure_mode", "labels": ("network",)})

    with pytest.raises(NotFound, match="'nobody'"):
        await casebook.import_annotations([fine, unknown])
    with pytest.raises(InvalidInput, match="Incident 'switch': 'network' of facet 'failure_mode' belongs under"):
        await casebook.import_annotations([fine, unfit])

    assert await store.annotations.list("switch") == []


async def test_two_teams_may_import_histories_with_the_same_ids(casebook: Casebook, store: Store) -> None:
    for team, text in (("payments", "The network failed."), ("search", "The GPU ran out of memory.")):
        record = Incident(id="INC-1", write_up=text), {"category": ("infrastructure",)}
        await casebook.import_history([record], "ann", "human", team=team)

    assert (await store.incidents.get("payments:INC-1")).incident.write_up == "The network failed."
    assert (await store.incidents.get("search:INC-1")).team == "search"
    found = await casebook.search("network", 5, teams={"payments"})
    assert [each.incident_id for each in found] == ["payments:INC-1"]


async def test_vectors_are_made_once_and_no_more_than_was_asked_for(
    casebook: Casebook, embedder: HashingEmbedder
) -> None:
    incidents = [Incident(id=f"v{n}", write_up=f"Write-up {n}.") for n in range(40)]
    await casebook.accept_many(incidents)
    steps: list[tuple[int, int]] = []

    assert list(await casebook.vectors(incidents, 3)) == ["v0", "v1", "v2"]
    found = await casebook.vectors(incidents, progress=lambda _, done, total: steps.append((done, total)))
    assert (len(found), embedder.embedded) == (40, 40)
    assert steps == [(0, 37), (32, 37), (37, 37)]
    assert (found["v9"] == (await embedder.embed(["Write-up 9."]))[0]).all()
    assert casebook.fingerprint == embedder.fingerprint


async def test_the_vector_of_an_incident_that_is_gone_is_not_kept(casebook: Casebook, store: Store) -> None:
    assert list(await casebook.vectors([SWITCH])) == ["switch"]
    assert await store.vectors.find_many(casebook.fingerprint, ["switch"]) == {}
