from __future__ import annotations

from datetime import UTC, datetime, timedelta

from triage.domain.annotation import Annotation
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import Store

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=365)


async def triaged(
    store: Store,
    key: str,
    label: str | None,
    *,
    at: datetime = NOW,
    run: str = "",
    team: str = "default",
) -> None:
    await store.incidents.add(Incident(id=key, write_up=f"Write-up of {key}."), "t", team)
    labels = (label,) if label else ()
    facets = {"category": FacetResult(facet="category", labels=labels)}
    provenance = Provenance(taxonomy="t", taxonomy_version="1.0.0")
    await store.triages.save(run or key, Triage(incident_id=key, facets=facets, provenance=provenance, created_at=at))


def said(key: str, label: str, *, by: str = "ada", minutes: float = 5, **more: object) -> Annotation:
    values = {"incident_id": key, "facet": "category", "labels": (label,), "annotator": by}
    return Annotation.model_validate(values | {"created_at": NOW + timedelta(minutes=minutes)} | more)


async def judged(store: Store, **more: object) -> list[tuple[str, str, str]]:
    values = {"taxonomy": "t", "facets": ["category"], "since": LONG_AGO, "limit": 100} | more
    found = await store.reviews.list(**values)  # type: ignore[arg-type]
    return [(one.annotator, one.labels[0], "none" if one.triaged is None else " ".join(one.triaged)) for one in found]


async def test_each_persons_last_word_stands_beside_the_triage_that_stood_then(store: Store) -> None:
    await triaged(store, "a", "power", at=NOW)
    await triaged(store, "a", "code", at=NOW + timedelta(hours=1), run="again")
    await store.record([said("a", "network", minutes=5)])
    await store.record([said("a", "power", minutes=6)])
    await store.record([said("a", "code", by="bo", minutes=90)])

    assert await judged(store) == [("bo", "code", "code"), ("ada", "power", "power")]
    assert await judged(store, limit=1) == [("bo", "code", "code")]
    assert await judged(store, since=NOW + timedelta(minutes=30)) == [("bo", "code", "code")]


async def test_an_adjudication_does_not_hide_what_its_author_said_before(store: Store) -> None:
    await triaged(store, "a", "power")
    await store.record([said("a", "network"), said("a", "power", by="bo")])
    await store.record([said("a", "power", minutes=9, is_gold=True, settles=(1, 2))])

    assert sorted(await judged(store)) == [("ada", "network", "power"), ("bo", "power", "power")]


async def test_an_abstention_is_a_judgement_without_labels(store: Store) -> None:
    await triaged(store, "a", None)
    await store.record([said("a", "power")])

    assert await judged(store) == [("ada", "power", "")]


async def test_what_no_person_said_of_a_triage_is_no_judgement(store: Store) -> None:
    await triaged(store, "a", "power")
    await store.record([said("a", "power", by="model:x", origin="model"), said("a", "power", minutes=-5)])
    await store.record([said("b", "power")], imported={"b": Incident(id="b", write_up="B.")}, taxonomy="t")
    await triaged(store, "c", "power")
    await store.record([said("c", "seen", facet="symptom")])

    assert await judged(store) == []
    assert await judged(store, taxonomy="other") == []


async def test_the_latest_triage_of_each_incident_is_listed_with_what_people_labelled(store: Store) -> None:
    await triaged(store, "a", "power", at=NOW - timedelta(days=2))
    await triaged(store, "b", "code", at=NOW - timedelta(days=1))
    await triaged(store, "a", "network", at=NOW, run="again")
    await triaged(store, "c", None, at=NOW)
    await store.record([said("b", "code"), said("b", "code", by="a rule", origin="derived", facet="symptom")])

    found = await store.reviews.list_triaged("t", ["category", "symptom"], LONG_AGO, 10)

    assert [one.labels for one in found] == [{"category": ()}, {"category": ("network",)}, {"category": ("code",)}]
    assert [one.labelled for one in found] == [frozenset(), frozenset(), {"category"}]
    assert found[1].created_at == NOW
    assert len(await store.reviews.list_triaged("t", ["category"], NOW - timedelta(hours=1), 10)) == 2
    assert len(await store.reviews.list_triaged("t", ["category"], LONG_AGO, 2)) == 2


async def test_the_newest_judgements_of_each_facet_are_those_of_these_teams_and_this_person(store: Store) -> None:
    for n, team in enumerate(("one", "two", "one")):
        await triaged(store, f"i{n}", "power", team=team)
        await store.record(
            [said(f"i{n}", "power", minutes=n + 1), said(f"i{n}", "code", minutes=n + 1, facet="symptom")]
        )
        await store.record([said(f"i{n}", "code", by="bo", minutes=n + 1)])

    found = await store.reviews.list("t", ["category", "symptom"], LONG_AGO, 2)
    assert [(one.incident_id, one.facet, one.annotator) for one in found] == [
        ("i2", "category", "bo"),
        ("i2", "category", "ada"),
    ]
    assert (found[0].given_at, found[0].saw_model) == (NOW + timedelta(minutes=3), None)
    assert await judged(store, teams=["two"]) == [("bo", "code", "power"), ("ada", "power", "power")]
    assert await judged(store, teams=[]) == []
    assert await judged(store, annotator="bo", limit=2) == [("bo", "code", "power")] * 2
    many = await store.reviews.list("t", ["category", "symptom"], LONG_AGO, 100, with_untriaged=True)
    assert len([one for one in many if one.facet == "symptom" and one.triaged is None]) == 3
    triages = await store.reviews.list_triaged("t", ["category"], LONG_AGO, 9, ["one"])
    assert len(triages) == 2


async def test_opinions_on_incidents_without_a_triage_are_told_where_they_are_wanted(store: Store) -> None:
    await triaged(store, "a", "power")
    await store.record([said("a", "code", minutes=-5), said("a", "code", by="bo")])
    await store.record([said("b", "power")], imported={"b": Incident(id="b", write_up="B.")}, taxonomy="t")

    assert await judged(store) == [("bo", "code", "power")]
    assert await judged(store, with_untriaged=True) == [
        ("ada", "power", "none"),
        ("bo", "code", "power"),
        ("ada", "code", "none"),
    ]


async def test_coverage_counts_the_newest_triaged_incidents_and_those_that_a_person_labelled(store: Store) -> None:
    for n in range(4):
        await triaged(store, f"i{n}", "power", at=NOW - timedelta(days=n), team="one" if n else "two")
    await triaged(store, "i1", "code", at=NOW - timedelta(hours=1), run="again")
    await store.record([said("i0", "power"), said("i1", "power", by="bo"), said("i3", "power")])
    await store.record([said("i2", "power", by="model:x", origin="model")])

    async def coverage(**more: object) -> tuple[int, dict[str, int]]:
        values = {"taxonomy": "t", "facets": ["category", "symptom"], "since": LONG_AGO, "limit": 100} | more
        return await store.reviews.count_coverage(**values)  # type: ignore[arg-type]

    assert await coverage() == (4, {"category": 3, "symptom": 0})
    assert await coverage(limit=2) == (2, {"category": 2, "symptom": 0})
    assert await coverage(since=NOW - timedelta(days=2.5)) == (3, {"category": 2, "symptom": 0})
    assert await coverage(annotator="ada") == (4, {"category": 2, "symptom": 0})
    assert await coverage(teams=["one"]) == (3, {"category": 2, "symptom": 0})
    assert await coverage(taxonomy="other") == (0, {"category": 0, "symptom": 0})


async def test_the_people_who_labelled_are_listed_by_name(store: Store) -> None:
    await triaged(store, "a", "power", team="one")
    await triaged(store, "b", "power", team="two")
    await store.record([said("a", "power", by=name) for name in ("cy", "ada", "bo")])
    await store.record([said("b", "power", by="dan"), said("b", "power", by="model:x", origin="model")])

    assert await store.reviews.list_annotators("t", 9) == ["ada", "bo", "cy", "dan"]
    assert await store.reviews.list_annotators("t", 2) == ["ada", "bo"]
    assert await store.reviews.list_annotators("t", 9, ["two"]) == ["dan"]
    assert await store.reviews.list_annotators("other", 9) == []


async def test_incidents_are_listed_by_id_without_their_write_ups(store: Store) -> None:
    await triaged(store, "a", "power")
    await store.incidents.add(Incident(id="b", title="B", write_up="Long."), "t", "one")

    found = await store.incidents.find_listed(["b", "nothing", "a"])
    assert {key: (one.title, one.team, one.status) for key, one in found.items()} == {
        "a": ("", "default", "triaged"),
        "b": ("B", "one", "pending"),
    }
    assert await store.incidents.find_listed([]) == {}
