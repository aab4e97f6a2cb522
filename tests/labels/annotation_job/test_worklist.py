from __future__ import annotations

import pytest

from tests.labels.annotation_job.conftest import TAXONOMY, assigned
from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.labels.annotation_job import worklist as module
from triage.labels.annotation_job.worklist import TriageLabel, Worklist
from triage.store import IncidentQuery, Store

ANY = IncidentQuery()


@pytest.fixture
def worklist(store: Store) -> Worklist:
    """Three incidents, of which the model has labelled each as operational."""
    return Worklist(store, TAXONOMY)


async def triaged(store: Store, name: str, *, degraded: bool = False, **labels: tuple[str, ...]) -> None:
    await store.incidents.add(Incident(id=name, write_up=f"Write-up {name}."), TAXONOMY.id)
    facets = {facet: FacetResult(facet=facet, labels=given) for facet, given in labels.items()}
    provenance = Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version)
    made = Triage(incident_id=name, facets=facets, degraded=degraded, provenance=provenance)
    await store.triages.save(name, made)


async def say(store: Store, name: str, annotator: str = "ada", *, is_gold: bool = False, **labels: str) -> None:
    await store.record(
        [
            Annotation(incident_id=name, facet=facet, labels=(label,), annotator=annotator, is_gold=is_gold)
            for facet, label in labels.items()
        ]
    )


async def ids(worklist: Worklist, kind: module.Kind, **options: object) -> list[str]:
    page = await worklist.page(kind, ANY, limit=9, **options)  # type: ignore[arg-type]
    return [item.candidate.incident.id for item in page.items]


async def test_an_incident_is_new_until_a_person_labels_it(store: Store, worklist: Worklist) -> None:
    assert await ids(worklist, "new") == ["three", "two", "one"]
    await say(store, "two", category="operational")
    assert await ids(worklist, "new") == ["three", "one"]
    assert await worklist.count("new", ANY) == (2, False)


async def test_an_abstention_is_open_until_that_facet_is_labelled(store: Store, worklist: Worklist) -> None:
    await triaged(store, "unsure", category=(), severity=("outage",), mitigation=())
    await triaged(store, "sure", category=("operational",))
    await say(store, "unsure", severity="outage", mitigation="restart")
    page = await worklist.page("abstained", ANY, limit=9)
    assert [(item.candidate.incident.id, item.reasons.abstained) for item in page.items] == [("unsure", ("category",))]

    await say(store, "unsure", category="operational")
    assert await ids(worklist, "abstained") == []
    assert (await worklist.count("abstained", ANY)).n == 0


async def test_a_person_against_the_model_is_open_until_there_is_a_gold_label(store: Store, worklist: Worklist) -> None:
    await say(store, "one", category="operational")
    await say(store, "two", category="infrastructure")
    page = await worklist.page("disagreed", ANY, limit=9)
    assert [(item.candidate.incident.id, item.reasons.against_model) for item in page.items] == [("two", ("category",))]

    await say(store, "two", category="infrastructure", is_gold=True)
    assert await ids(worklist, "disagreed") == []


async def test_two_people_are_open_until_somebody_settles_it(store: Store, worklist: Worklist) -> None:
    await say(store, "one", "ada", category="operational")
    await say(store, "one", "grace", category="infrastructure")
    page = await worklist.page("disagreed", ANY, limit=9)
    assert [item.reasons.between_people for item in page.items] == [("category",)]

    ids_ = tuple(each.id or 0 for each in await store.annotations.list("one"))
    gold = Annotation(
        incident_id="one", facet="category", labels=("operational",), annotator="lin", is_gold=True, settles=ids_
    )
    await store.record([gold])
    assert await ids(worklist, "disagreed") == []


async def test_what_a_degraded_triage_says_contradicts_nobody(store: Store, worklist: Worklist) -> None:
    await triaged(store, "worse", degraded=True, category=("operational",))
    await say(store, "worse", category="infrastructure")

    assert await ids(worklist, "disagreed") == []
    assert await ids(worklist, "degraded") == ["worse"]


async def test_a_list_can_be_of_the_incidents_with_a_label(store: Store, worklist: Worklist) -> None:
    await triaged(store, "other", category=("infrastructure",))

    said = TriageLabel("category", "infrastructure")
    assert await ids(worklist, "new", label=said) == ["other"]
    assert await worklist.count("new", ANY, said) == (1, False)
    assert await ids(worklist, "untriaged", label=said) == []


async def test_what_somebody_is_to_label_blind_comes_without_its_triage(store: Store, worklist: Worklist) -> None:
    await store.assignments.add([assigned("one", facets=("category",)), assigned("two", shows_model=True)])

    async def withheld(annotator: str) -> list[str]:
        page = await worklist.page("new", ANY, annotator=annotator, limit=9)
        assert all(item.is_blind == (item.triage is None) for item in page.items)
        return [item.candidate.incident.id for item in page.items if item.is_blind]

    assert (await withheld("ada"), await withheld("grace"), await withheld("")) == (["one"], [], [])
    # That it is found by its label would tell the label.
    assert await ids(worklist, "new", label=TriageLabel("category", "operational"), annotator="ada") == ["three", "two"]
    await say(store, "one", category="operational")
    assert await withheld("ada") == []


async def test_what_somebody_is_to_label_blind_is_neither_found_nor_counted_by_what_was_said_of_it(
    store: Store, worklist: Worklist
) -> None:
    await triaged(store, "unsure", category=(), severity=("outage",))
    await say(store, "one", "grace", category="infrastructure")
    said = TriageLabel("category", "operational")
    kinds: tuple[tuple[module.Kind, TriageLabel | None, str], ...] = (
        ("new", said, "two"),
        ("abstained", None, "unsure"),
        ("disagreed", None, "one"),
    )
    for kind, label, name in kinds:
        found = await ids(worklist, kind, label=label, annotator="ada")
        assert name in found
        await store.assignments.add([assigned(name, facets=("category",))])

        for annotator, expected in (("ada", [one for one in found if one != name]), ("grace", found)):
            assert await ids(worklist, kind, label=label, annotator=annotator) == expected
            assert await worklist.count(kind, ANY, label, annotator) == (len(expected), False)
    # In a part that tells nothing of its labels it stays.
    assert "two" in await ids(worklist, "new", annotator="ada")


async def test_pages_go_on_where_the_one_before_ended(store: Store, worklist: Worklist) -> None:
    first = await worklist.page("new", ANY, limit=2)
    await triaged(store, "later", category=("operational",))
    then = await worklist.page("new", ANY, limit=2, cursor=first.next_cursor)

    assert [item.candidate.incident.id for item in (*first.items, *then.items)] == ["three", "two", "one"]
    assert (first.is_cut_off, then.next_cursor) == (False, None)


async def test_a_long_search_is_cut_off_and_can_be_gone_on_with(
    store: Store, worklist: Worklist, monkeypatch: pytest.MonkeyPatch
) -> None:
    await triaged(store, "unsure", category=())
    for n in range(5):
        await triaged(store, f"sure-{n}", category=("operational",))
    monkeypatch.setattr(module, "SCANNED", 4)
    monkeypatch.setattr(module, "_CHUNK", 2)

    first = await worklist.page("abstained", ANY, limit=9)
    assert (first.items, first.scanned, first.is_cut_off) == ((), 4, True)
    assert await worklist.count("abstained", ANY) == (0, True)
    then = await worklist.page("abstained", ANY, limit=9, cursor=first.next_cursor)
    assert [item.candidate.incident.id for item in then.items] == ["unsure"]
    last = await worklist.page("abstained", ANY, limit=9, cursor=then.next_cursor)
    assert (last.items, last.next_cursor, last.is_cut_off) == ((), None, False)


async def test_the_triage_comes_with_its_probabilities(store: Store, worklist: Worklist) -> None:
    page = await worklist.page("new", ANY, limit=1)

    assert page.items[0].triage == await store.triages.find("three")
    assert page.items[0].reasons == (True, False, (), (), ())
