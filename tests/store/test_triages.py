from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from triage.domain.annotation import Annotation
from triage.domain.errors import Outdated
from triage.domain.incident import Incident
from triage.domain.triage_result import Provenance, Triage
from triage.store import IncidentQuery, Labelled, Store, upgrade
from triage.store.tables import triage_table
from triage.store.triages import announce


@pytest.fixture
async def url(new_database: Callable[[], str]) -> str:
    url = new_database()
    await upgrade(url)
    return url


async def add(store: Store, *names: str, **values: str) -> None:
    for name in names:
        await store.incidents.add(Incident(id=name, write_up="It failed.", **values), "llm_inference")


def triage(name: str, *, degraded: bool = False) -> Triage:
    return Triage(
        incident_id=name, facets={}, degraded=degraded, provenance=Provenance(taxonomy="t", taxonomy_version="1")
    )


async def follow(store: Store, cursor: str | None) -> tuple[list[str], str]:
    page = await store.triages.list_finished(100, cursor)
    return [each.incident_id for each in page.triages], page.next_cursor


async def test_a_triage_that_is_committed_late_is_not_missed_by_a_client_that_goes_forward(store: Store) -> None:
    await add(store, "first", "late", "quick")
    await store.triages.save("first", triage("first"))
    seen, cursor = await follow(store, None)
    assert seen == ["first"]

    late = store.database.engine.connect()
    async with late as connection, connection.begin():
        await announce(connection)
        values = {"incident_id": "late", "run_id": "late", "document": "{}", "degraded": False}
        await connection.execute(triage_table.insert().values(**values, created_at=datetime.now(UTC)))
        # Another one gets a larger id, is there first, and doesn't wait.
        async with asyncio.timeout(5):
            await store.triages.save("quick", triage("quick"))
        while_open, cursor = await follow(store, cursor)
    after, cursor = await follow(store, cursor)
    nothing, _ = await follow(store, cursor)

    assert while_open == []
    assert after == ["late", "quick"]
    assert nothing == []


async def test_one_that_gives_up_leaves_a_gap_that_nobody_waits_for(store: Store) -> None:
    await add(store, "one", "two")
    async with store.database.engine.connect() as connection:
        await announce(connection)
        await connection.execute(text("SELECT nextval('triages_id_seq')"))
        await connection.rollback()
    await store.triages.save("one", triage("one"))
    assert (await follow(store, None))[0] == ["one"]


async def test_a_client_that_follows_while_many_are_stored_sees_each_once(store: Store) -> None:
    names = [f"i{n}" for n in range(60)]
    await add(store, *names)
    saving = asyncio.gather(*(store.triages.save(name, triage(name)) for name in names))
    seen: list[str] = []
    cursor = None
    async with asyncio.timeout(20):
        while len(seen) < len(names):
            found, cursor = await follow(store, cursor)
            seen += found
    await saving

    assert sorted(seen) == sorted(names)


async def test_lists_can_be_narrowed(store: Store) -> None:
    await add(store, "a", service="chat", severity="SEV-1")
    await add(store, "b", service="chat", severity="SEV-2")
    await add(store, "c", service="search")
    await store.triages.save("a-1", triage("a", degraded=True))
    await store.triages.save("a-2", triage("a"))
    await store.triages.save("b", triage("b", degraded=True))
    now = datetime.now(UTC)

    async def listed(filters: IncidentQuery) -> str:
        return "".join(each.id for each in (await store.incidents.list(10, filters=filters)).incidents)

    assert await listed(IncidentQuery()) == "cba"
    assert await listed(IncidentQuery(service="chat")) == "ba"
    assert await listed(IncidentQuery(service="chat", severity="SEV-1")) == "a"
    assert await listed(IncidentQuery(degraded=True)) == "b"
    assert await listed(IncidentQuery(degraded=False)) == "a"
    assert await listed(IncidentQuery(since=now - timedelta(hours=1), until=now)) == "cba"
    assert await listed(IncidentQuery(since=now)) == ""
    assert await listed(IncidentQuery(teams=("other",))) == ""
    assert [each.incident_id for each in (await store.triages.list_finished(9, teams=("default",))).triages] == [
        "a",
        "a",
        "b",
    ]
    assert (await store.triages.list_finished(9, teams=("other",))).triages == ()


async def test_pages_hold_each_incident_once_while_others_come_and_go(store: Store) -> None:
    await add(store, *(f"i{n}" for n in range(6)))
    seen, cursor = [], None
    for n in range(3):
        page = await store.incidents.list(2, cursor)
        seen += [each.id for each in page.incidents]
        cursor = page.next_cursor
        await add(store, f"new{n}")
        async with store.database.write() as connection:
            await connection.execute(text(f"DELETE FROM incidents WHERE id = '{seen[-1]}'"))

    assert seen == ["i5", "i4", "i3", "i2", "i1", "i0"]
    assert cursor is None


async def test_of_two_who_label_on_the_same_ground_at_once_one_gets_through(store: Store) -> None:
    await add(store, "i")

    async def label(annotator: str) -> bool:
        given = Annotation(incident_id="i", facet="category", labels=("x",), annotator=annotator)
        try:
            await store.record([given], expected=Labelled(0, 0))
        except Outdated:
            return False
        return True

    assert sorted(await asyncio.gather(*(label(f"a{n}") for n in range(4)))) == [False, False, False, True]
