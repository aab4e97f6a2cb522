from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from hypothesis import given
from hypothesis import strategies as st

from triage.domain.annotation import Annotation, Assignment
from triage.domain.errors import InvalidInput, MisconfiguredService, NotFound
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import IncidentQuery, Pending, Store, downgrade, upgrade
from triage.store.cursor import read_cursor, write_cursor
from triage.store.database import create_engine
from triage.store.tables import metadata

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def incident(id: str = "a", **fields: object) -> Incident:  # noqa: A002
    return Incident.model_validate({"id": id, "write_up": f"Write-up of {id}."} | fields)


def annotation(label: str, annotator: str = "ada", **fields: object) -> Annotation:
    values = {"incident_id": "a", "facet": "category", "labels": (label,), "annotator": annotator, "is_gold": True}
    return Annotation.model_validate(values | fields)


def triage(incident_id: str = "a") -> Triage:
    return Triage(incident_id=incident_id, facets={}, provenance=Provenance(taxonomy="t", taxonomy_version="1.0.0"))


async def test_an_incident_comes_back_as_it_was_stored_with_its_times_in_utc(store: Store) -> None:
    in_tokyo = datetime(2026, 3, 2, 18, 0, 0, 123456, tzinfo=timezone(timedelta(hours=9)))
    posted = incident(title="Ünïcode", started_at=in_tokyo, attributes={"n": 1, "x": 0.5, "ok": True, "none": None})

    assert await store.incidents.add(posted, "llm_inference")
    stored = await store.incidents.get("a")

    assert stored.incident == posted
    assert stored.incident.started_at is not None
    assert stored.incident.started_at.tzinfo == UTC
    assert stored.incident.started_at.hour == 9
    assert stored.created_at.tzinfo == UTC
    assert (stored.status, stored.taxonomy, stored.attempts) == ("pending", "llm_inference", 0)


async def test_an_id_is_taken_once(store: Store) -> None:
    assert await store.incidents.add(incident(), "t")
    assert not await store.incidents.add(incident(write_up="Something else."), "t")

    assert (await store.incidents.get("a")).incident.write_up == "Write-up of a."


async def test_an_unknown_incident_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound, match="'b'"):
        await store.incidents.get("b")


async def test_pages_are_newest_first_and_do_not_shift_when_incidents_come_in(store: Store) -> None:
    for n in range(5):
        await store.incidents.add(incident(f"i{n}"), "t")
    first = await store.incidents.list(2)
    await store.incidents.add(incident("late"), "t")
    second = await store.incidents.list(2, first.next_cursor)
    third = await store.incidents.list(2, second.next_cursor)

    assert [i.id for page in (first, second, third) for i in page.incidents] == ["i4", "i3", "i2", "i1", "i0"]
    assert third.next_cursor is None


async def test_a_page_can_be_of_one_status(store: Store) -> None:
    for n in range(4):
        await store.incidents.add(incident(f"i{n}"), "t")
    await store.triages.save("i1", triage("i1"))

    assert [i.id for i in (await store.incidents.list(10, filters=IncidentQuery(status="triaged"))).incidents] == ["i1"]
    assert [i.id for i in (await store.incidents.list(10, filters=IncidentQuery(status="pending"))).incidents] == [
        "i3",
        "i2",
        "i0",
    ]


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_a_cursor_leads_back_to_its_place(seq: int) -> None:
    assert read_cursor(write_cursor(seq)) == seq


@given(st.text(max_size=30))
def test_any_text_is_a_cursor_or_refused_as_one(text: str) -> None:
    with contextlib.suppress(InvalidInput):
        assert read_cursor(text) >= 0


async def test_a_triage_is_stored_once_for_a_run(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    first = triage()

    await store.triages.save("a", first)
    await store.triages.save("a", triage())

    assert await store.triages.find("a") == first
    assert (await store.incidents.get("a")).status == "triaged"
    assert await store.attempts.list_pending() == []


async def test_a_vector_is_kept_with_a_triage_in_place_of_an_earlier_one(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    made = triage().model_copy(update={"provenance": triage().provenance.model_copy(update={"embedder": "e"})})
    for run, value in (("one", 1.0), ("two", 2.0), ("two", 3.0)):
        await store.triages.save(run, made, np.full(3, value, dtype=np.float32))
    await store.triages.save("three", made)

    assert {key: vector.tolist() for key, vector in (await store.vectors.find_many("e", ["a"])).items()} == {
        "a": [2.0] * 3
    }


async def test_recent_incidents_come_with_their_latest_triage_newest_first(store: Store) -> None:
    for n, team in enumerate(("x", "y", "x")):
        await store.incidents.add(incident(f"i{n}"), "t", team)
    await store.incidents.add(incident("other"), "another taxonomy")
    moments = {"i0": 3, "i1": 2, "i2": 1, "other": 4}
    for key, hours in moments.items():
        await store.triages.save(key, triage(key).model_copy(update={"created_at": NOW + timedelta(hours=hours)}))
    late = triage("i2").model_copy(update={"created_at": NOW + timedelta(hours=9), "degraded": True})
    await store.triages.save("again", late)

    recent = await store.triages.list_recent("t", NOW, 10)
    assert [(one.incident.id, one.team) for one in recent] == [("i2", "x"), ("i0", "x"), ("i1", "y")]
    assert Triage.model_validate_json(recent[0].document) == late
    assert [one.incident.id for one in await store.triages.list_recent("t", NOW, 2)] == ["i2", "i0"]
    assert [one.incident.id for one in await store.triages.list_recent("t", NOW, 10, {"y"})] == ["i1"]
    assert [one.incident.id for one in await store.triages.list_recent("t", NOW + timedelta(hours=3), 10)] == [
        "i2",
        "i0",
    ]


async def test_a_failed_attempt_is_counted_once_and_tried_again_when_its_time_comes(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    first = Pending("a", 0)

    assert await store.attempts.fail(first, "it broke", NOW)
    assert not await store.attempts.fail(first, "it broke", NOW)
    failed = await store.incidents.get("a")
    assert (failed.status, failed.failure, failed.attempts, failed.retry_at) == ("failed", "it broke", 1, NOW)

    assert await store.attempts.rearm(NOW - timedelta(seconds=1)) == 0
    assert await store.attempts.rearm(NOW) == 1
    assert await store.attempts.list_pending() == [Pending("a", 1)]


async def test_a_finished_incident_cannot_fail_afterwards(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    await store.triages.save("a", triage())

    assert not await store.attempts.fail(Pending("a", 0), "too late", None)
    assert (await store.incidents.get("a")).status == "triaged"


async def test_an_incident_that_failed_for_good_can_be_asked_for_again(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    await store.attempts.fail(Pending("a", 0), "it broke", None)

    await store.attempts.request("a")

    again = await store.incidents.get("a")
    assert (again.status, again.failures, again.attempts) == ("pending", 0, 1)


async def test_the_latest_word_of_an_annotator_counts(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    await store.record([annotation("infrastructure")])
    await store.record([annotation("operational")])
    assert await store.gold.find_many(["a"]) == {"a": {"category": ("operational",)}}

    await store.record([annotation("operational", is_gold=False)])
    assert await store.gold.find_many(["a"]) == {}
    assert await store.gold.list_ids() == set()
    assert len(await store.annotations.list("a")) == 3


async def test_a_persons_gold_label_goes_before_a_derived_one(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    await store.record([annotation("operational")])
    await store.record([annotation("infrastructure", "a rule", origin="derived")])

    assert await store.gold.find_many(["a"]) == {"a": {"category": ("operational",)}}


async def test_a_repeated_annotation_is_kept_once_unless_it_was_replaced_meanwhile(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    first = (await store.record([annotation("operational")])).annotations[0]
    assert (await store.record([annotation("operational")])).annotations == [first]
    assert len(await store.annotations.list("a")) == 1

    await store.record([annotation("infrastructure", "grace")])
    await store.record([annotation("operational")])
    assert await store.gold.find_many(["a"]) == {"a": {"category": ("operational",)}}


async def test_nothing_is_stored_when_one_annotation_is_of_an_unknown_incident(store: Store) -> None:
    await store.incidents.add(incident(), "t")

    with pytest.raises(NotFound, match="'nobody'"):
        await store.record([annotation("operational"), annotation("operational", incident_id="nobody")])

    assert await store.annotations.list("a") == []


async def test_vectors_come_back_bit_for_bit_and_belong_to_one_embedder(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    vector = np.random.default_rng(1).normal(size=384).astype(np.float32)

    await store.vectors.save("one", {"a": vector})
    await store.vectors.save("other", {"a": vector[:5]})

    assert np.array_equal((await store.vectors.find_many("one", ["a", "b"]))["a"], vector)
    assert (await store.vectors.find_many("other", ["a"]))["a"].shape == (5,)


async def test_an_imported_incident_is_replaced_by_a_newer_edition_and_loses_its_vectors(store: Store) -> None:
    await store.record([annotation("operational")], imported={"a": incident()}, taxonomy="t")
    await store.vectors.save("one", {"a": np.ones(3, dtype=np.float32)})

    await store.record([], imported={"a": incident(write_up="Corrected.")}, taxonomy="t")

    assert (await store.incidents.get("a")).incident.write_up == "Corrected."
    assert (await store.incidents.get("a")).status == "imported"
    assert await store.vectors.find_many("one", ["a"]) == {}
    assert [portion async for portion in store.gold.incident_pages()] == [
        [(incident(write_up="Corrected."), {"category": ("operational",)})]
    ]


async def test_upgrading_twice_changes_nothing_and_the_tables_are_those_of_the_code(url: str) -> None:
    await upgrade(url)
    engine = create_engine(url)
    async with engine.connect() as connection:
        differences = await connection.run_sync(lambda c: compare_metadata(MigrationContext.configure(c), metadata))
    await engine.dispose()

    assert differences == []


async def test_many_processes_may_upgrade_at_once(tmp_path: Path) -> None:
    # Many new files, because the switch to the write-ahead log, which they race for, happens once in each.
    for number in range(20):
        url = f"sqlite:///{tmp_path / f'{number}.db'}"
        await asyncio.gather(*(upgrade(url) for _ in range(8)))

        store = Store(url)
        await store.ping()
        await store.close()


async def test_sqlite_has_a_write_ahead_log_and_checks_foreign_keys(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    engine = create_engine(url)
    async with engine.connect() as connection:
        assert (await connection.exec_driver_sql("PRAGMA foreign_keys")).scalar() == 1
        assert (await connection.exec_driver_sql("PRAGMA busy_timeout")).scalar() == 30_000
    await engine.dispose()

    with sqlite3.connect(tmp_path / "triage.db") as raw:
        assert raw.execute("PRAGMA journal_mode").fetchone() == ("wal",)


@pytest.mark.parametrize("url", ["mysql://host/name", "nonsense", "sqlite+pysqlcipher:///x"])
def test_a_database_that_is_not_supported_is_explained(url: str) -> None:
    with pytest.raises(MisconfiguredService, match="sqlite"):
        Store(url)


async def test_all_annotations_of_a_taxonomy_come_with_what_the_model_said_last(store: Store) -> None:
    await store.record(
        [annotation("x"), annotation("y", "bob"), annotation("z", incident_id="b")],
        imported={"a": incident("a"), "b": incident("b")},
        taxonomy="mine",
    )
    await store.record([annotation("x", incident_id="c")], imported={"c": incident("c")}, taxonomy="other")
    for run, label, degraded in (("r1", "x", False), ("r2", "y", False)):
        await store.triages.save(run, labelled_triage("a", label, degraded=degraded))
    await store.triages.save("r3", labelled_triage("b", "y", degraded=True))

    found = await store.annotations.list_all("mine")

    assert [(one.incident_id, one.annotator, one.labels, one.origin) for one in found] == [
        ("a", "ada", ("x",), "human"),
        ("a", "bob", ("y",), "human"),
        ("b", "ada", ("z",), "human"),
        ("a", "model:m", ("y",), "model"),
    ]
    assert await store.annotations.list_all("none") == []


def labelled_triage(incident_id: str, label: str, *, degraded: bool) -> Triage:
    """A triage that labels one facet and abstains on another."""
    return Triage(
        incident_id=incident_id,
        facets={
            "category": FacetResult(facet="category", labels=(label,)),
            "severity": FacetResult(facet="severity", labels=(), abstention="unsure"),
        },
        degraded=degraded,
        provenance=Provenance(taxonomy="mine", taxonomy_version="1.0.0", model="m"),
    )


async def test_going_back_a_version_keeps_the_annotations_and_forward_again_finds_them(url: str) -> None:
    store = Store(url)
    await store.incidents.add(incident(), "t")
    first = (await store.record([annotation("operational", saw_model=True)])).annotations[0]
    await store.record([annotation("infrastructure", "grace", settles=(first.id,))])
    await store.assignments.add([Assignment(incident_id="a", annotator="ada", facets=("category",))])
    await store.close()

    await downgrade(url, "0001")
    await upgrade(url)

    store = Store(url)
    labels = [(a.labels, a.saw_model, a.settles, a.is_gold) for a in await store.annotations.list("a")]
    assert labels == [(("operational",), None, (), True), (("infrastructure",), None, (), True)]
    assert await store.assignments.list() == []
    await store.record([annotation("model_configuration", "third")])
    assert [a.id for a in await store.annotations.list("a")] == [1, 2, 3]
    await store.close()


async def test_an_adjudicator_can_be_an_annotator_and_keeps_their_own_label(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    own = (await store.record([annotation("operational", is_gold=False)])).annotations[0]
    settled = (await store.record([annotation("infrastructure", settles=(own.id,))])).annotations[0]

    assert await store.gold.find_many(["a"]) == {"a": {"category": ("infrastructure",)}}
    assert await store.annotations.list("a") == [own, settled]
    assert (own.is_adjudication, settled.is_adjudication) == (False, True)

    await store.record([annotation("model_configuration", is_gold=False)])
    assert await store.gold.find_many(["a"]) == {"a": {"category": ("infrastructure",)}}


async def test_whether_the_model_was_seen_is_what_was_served_not_what_is_said(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    await store.assignments.record_serving("a", "ada", showed_model=False)
    await store.assignments.record_serving("a", "grace", showed_model=False)
    await store.assignments.record_serving("a", "grace", showed_model=True)
    given = [annotation("operational", name, saw_model=False) for name in ("ada", "grace", "stranger")]

    kept = (await store.record(given, is_interactive=True)).annotations

    assert [a.saw_model for a in kept] == [False, True, None]
    assert [a.saw_model for a in await store.annotations.list("a")] == [False, True, None]


async def test_a_label_given_again_after_seeing_the_model_stays_the_blind_one(store: Store) -> None:
    await store.incidents.add(incident(), "t")
    await store.assignments.record_serving("a", "ada", showed_model=False)
    blind = (await store.record([annotation("operational")], is_interactive=True)).annotations
    await store.assignments.record_serving("a", "ada", showed_model=True)

    assert (await store.record([annotation("operational")], is_interactive=True)).annotations == blind
    changed = (await store.record([annotation("infrastructure")], is_interactive=True)).annotations
    assert changed[0].saw_model is True


async def test_an_assignment_made_again_gains_facets_and_keeps_its_place(store: Store) -> None:
    for name in ("a", "b"):
        await store.incidents.add(incident(name), "t")
    await store.assignments.add([Assignment(incident_id=name, annotator="ada", facets=("category",)) for name in "ab"])
    await store.assignments.add(
        [Assignment(incident_id="a", annotator="ada", facets=("severity", "category"), shows_model=True)]
    )

    assert [(a.incident_id, a.facets, a.shows_model) for a in await store.assignments.list("ada")] == [
        ("a", ("category", "severity"), False),
        ("b", ("category",), False),
    ]
    assert await store.assignments.list("grace") == []


async def test_incidents_labelled_by_two_people_are_found_newest_first(store: Store) -> None:
    for name in "abcd":
        await store.incidents.add(incident(name), "t")
    await store.record([annotation("operational", who, incident_id=name) for name in "abd" for who in ("ada", "grace")])
    await store.record([annotation("operational", "a rule", incident_id="c", origin="derived")])
    await store.record(
        [annotation("operational", incident_id="c"), annotation("x", "grace", incident_id="c", facet="f")]
    )

    both = await store.annotations.list_labelled(2)
    assert [name for _, name in both] == ["d", "b", "a"]
    assert [name for _, name in await store.annotations.list_labelled(2, before=both[0][0], limit=1)] == ["b"]
    assert [name for _, name in await store.annotations.list_labelled()] == ["d", "c", "b", "a"]
    assert await store.incidents.list_ids() == ["a", "b", "c", "d"]
    assert await store.incidents.list_ids("triaged") == []


async def test_the_latest_triages_of_some_incidents_are_read_together(store: Store) -> None:
    for name in ("a", "b", "c"):
        await store.incidents.add(incident(name), "llm_inference")
    for run, name in (("1", "a"), ("2", "b"), ("3", "a")):
        await store.triages.save(run, triage(name).model_copy(update={"degraded": run == "3"}))

    found = await store.triages.find_documents(["a", "c", "none"])
    assert {name: Triage.model_validate_json(document).degraded for name, document in found.items()} == {"a": True}
    assert await store.triages.find_documents([]) == {}


async def test_the_newest_gold_is_that_of_the_incidents_that_came_in_last(store: Store) -> None:
    for name, team in (("a", "one"), ("b", "two"), ("c", "one"), ("d", "one")):
        await store.incidents.add(incident(name), "llm_inference", team)
    await store.incidents.add(incident("other"), "cloud_faults")
    for name in ("c", "a", "b", "other"):
        await store.record([annotation("operational", incident_id=name)])

    assert list(await store.gold.list_newest("llm_inference", 10)) == ["c", "b", "a"]
    assert await store.gold.list_newest("llm_inference", 1) == {"c": {"category": ("operational",)}}
    assert list(await store.gold.list_newest("llm_inference", 10, {"one"})) == ["c", "a"]
    await store.record([annotation("operational", incident_id="c", is_gold=False)])
    assert list(await store.gold.list_newest("llm_inference", 10, {"one"})) == ["a"]
