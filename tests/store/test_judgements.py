from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tests.store.test_store import store, url  # noqa: F401  SQLite and PostgreSQL
from triage.annotation import Annotation
from triage.incident import Incident
from triage.store import Store
from triage.triage_result import FacetResult, Provenance, Triage

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=365)


async def triaged(store: Store, key: str, label: str | None, *, at: datetime = NOW, run: str = "") -> None:  # noqa: F811
    await store.add_incident(Incident(id=key, write_up=f"Write-up of {key}."), "t")
    labels = (label,) if label else ()
    facets = {"category": FacetResult(facet="category", labels=labels)}
    provenance = Provenance(taxonomy="t", taxonomy_version="1.0.0")
    await store.save_triage(run or key, Triage(incident_id=key, facets=facets, provenance=provenance, created_at=at))


def said(key: str, label: str, *, by: str = "ada", minutes: float = 5, **more: object) -> Annotation:
    values = {"incident_id": key, "facet": "category", "labels": (label,), "annotator": by}
    return Annotation.model_validate(values | {"created_at": NOW + timedelta(minutes=minutes)} | more)


async def judged(store: Store, **more: object) -> list[tuple[str, str, str]]:  # noqa: F811
    values = {"taxonomy": "t", "facet": "category", "since": LONG_AGO, "limit": 100} | more
    found = await store.judgements(**values)  # type: ignore[arg-type]
    return [(one.annotation.annotator, one.annotation.labels[0], " ".join(one.triaged)) for one in found]


async def test_each_persons_last_word_stands_beside_the_triage_that_stood_then(store: Store) -> None:  # noqa: F811
    await triaged(store, "a", "power", at=NOW)
    await triaged(store, "a", "code", at=NOW + timedelta(hours=1), run="again")
    await store.record([said("a", "network", minutes=5)])
    await store.record([said("a", "power", minutes=6)])
    await store.record([said("a", "code", by="bo", minutes=90)])

    assert await judged(store) == [("bo", "code", "code"), ("ada", "power", "power")]
    assert await judged(store, limit=1) == [("bo", "code", "code")]
    assert await judged(store, since=NOW + timedelta(minutes=30)) == [("bo", "code", "code")]


async def test_an_adjudication_does_not_hide_what_its_author_said_before(store: Store) -> None:  # noqa: F811
    await triaged(store, "a", "power")
    await store.record([said("a", "network"), said("a", "power", by="bo")])
    await store.record([said("a", "power", minutes=9, is_gold=True, settles=(1, 2))])

    assert sorted(await judged(store)) == [("ada", "network", "power"), ("bo", "power", "power")]


async def test_an_abstention_is_a_judgement_without_labels(store: Store) -> None:  # noqa: F811
    await triaged(store, "a", None)
    await store.record([said("a", "power")])

    assert await judged(store) == [("ada", "power", "")]


async def test_what_no_person_said_of_a_triage_is_no_judgement(store: Store) -> None:  # noqa: F811
    await triaged(store, "a", "power")
    await store.record([said("a", "power", by="model:x", origin="model"), said("a", "power", minutes=-5)])
    await store.record([said("b", "power")], imported={"b": Incident(id="b", write_up="B.")}, taxonomy="t")
    await triaged(store, "c", "power")
    await store.record([said("c", "seen", facet="symptom")])

    assert await judged(store) == []
    assert await judged(store, taxonomy="other") == []


async def test_the_latest_triage_of_each_incident_is_listed_with_what_people_labelled(store: Store) -> None:  # noqa: F811
    await triaged(store, "a", "power", at=NOW - timedelta(days=2))
    await triaged(store, "b", "code", at=NOW - timedelta(days=1))
    await triaged(store, "a", "network", at=NOW, run="again")
    await triaged(store, "c", None, at=NOW)
    await store.record([said("b", "code"), said("b", "code", by="a rule", origin="derived", facet="symptom")])

    found = await store.triaged_incidents("t", ["category", "symptom"], LONG_AGO, 10)

    assert [one.labels for one in found] == [{"category": ()}, {"category": ("network",)}, {"category": ("code",)}]
    assert [one.labelled for one in found] == [frozenset(), frozenset(), {"category"}]
    assert found[1].created_at == NOW
    assert len(await store.triaged_incidents("t", ["category"], NOW - timedelta(hours=1), 10)) == 2
    assert len(await store.triaged_incidents("t", ["category"], LONG_AGO, 2)) == 2
