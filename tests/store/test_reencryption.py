from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from triage.domain.annotation import Annotation
from triage.domain.errors import MisconfiguredService
from triage.domain.incident import Incident
from triage.domain.triage_result import FacetResult, Provenance, Triage
from triage.store import Pending, Store, reencrypt
from triage.store.database import create_engine
from triage.store.encryption import OFF, Cipher, new_key
from triage.store.tables import metadata

MARKER = "a phrase found nowhere else"
OLD, NEW = new_key(), new_key()
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def incident(key: str) -> Incident:
    words = f"{MARKER} {key} " * 3
    return Incident(id=key, title=words, write_up=words, url=f"https://{MARKER}", attributes={"said": words, "n": 1})


def triage(key: str) -> Triage:
    facets = {"category": FacetResult(facet="category", labels=("power",), rationale=MARKER)}
    provenance = Provenance(taxonomy="t", taxonomy_version="1.0.0", model="m")
    return Triage(incident_id=key, facets=facets, provenance=provenance, created_at=NOW)


async def fill(store: Store, keys: str) -> None:
    for key in keys:
        await store.incidents.add(incident(key), "t")
        await store.triages.save(key, triage(key))
        note = {"facet": "category", "labels": ("power",), "annotator": "ada", "is_gold": True, "note": MARKER}
        await store.record([Annotation.model_validate(note | {"incident_id": key})])
    failing = f"{keys[0]}-failing"
    await store.incidents.add(incident(failing), "t")
    await store.attempts.fail(Pending(failing, 0), MARKER, None)


async def check(store: Store, keys: str) -> None:
    """All that was put in by `fill` comes out again."""
    for key in keys:
        assert (await store.incidents.get(key)).incident == incident(key)
        assert await store.triages.find(key) == triage(key)
        assert [one.note for one in await store.annotations.list(key)] == [MARKER]
    assert (await store.incidents.get(f"{keys[0]}-failing")).failure == MARKER
    assert MARKER in (await store.incidents.list(1)).incidents[0].title
    judged = await store.reviews.list("t", ["category"], datetime(2020, 1, 1, tzinfo=UTC), 100)
    assert set(keys) <= {one.incident_id for one in judged if one.triaged == ("power",)}
    assert {one.labels["category"] for one in await store.reviews.list_triaged("t", ["category"], NOW, 9)} == {
        ("power",)
    }
    assert {one.labels for one in await store.annotations.list_all("t") if one.origin == "model"} == {("power",)}


async def at_rest(url: str, folder: Path) -> str:
    """Everything that lies in the database: SQLite's files as they are, PostgreSQL's rows as text."""
    if url.startswith("sqlite"):
        return "".join(path.read_bytes().decode("latin-1") for path in folder.glob("triage.db*"))
    engine = create_engine(url)
    async with engine.connect() as connection:
        rows = [await connection.scalars(text(f"SELECT t::text FROM {name} t")) for name in metadata.tables]
        everything = "".join(row for of_table in rows for row in of_table)
    await engine.dispose()
    return everything


async def test_no_text_of_a_sealed_store_lies_in_the_database(url: str, tmp_path: Path) -> None:
    store = Store(url, Cipher([OLD]))
    await store.check_keys()
    await fill(store, "ab")

    assert MARKER not in await at_rest(url, tmp_path)
    await check(store, "ab")
    await store.close()
    assert MARKER not in await at_rest(url, tmp_path)


async def test_a_store_is_sealed_gets_a_new_key_and_becomes_plain_again(url: str, tmp_path: Path) -> None:
    plain = Store(url)
    await fill(plain, "ab")
    await plain.close()
    assert MARKER in await at_rest(url, tmp_path)

    # A service that has the key goes on meanwhile, over plain and sealed rows side by side.
    beside = Store(url, Cipher([OLD]))
    await beside.check_keys()
    await fill(beside, "cd")
    await check(beside, "ab")
    seen: list[tuple[int, int]] = []
    first = await reencrypt(url, Cipher([OLD]), lambda _, done, total: seen.append((done, total)))

    assert first == (14, 7, True)
    assert seen[-1] == (14, 14)
    assert MARKER not in await at_rest(url, tmp_path)
    await check(beside, "cd")
    assert (await reencrypt(url, Cipher([OLD]))).changed == 0

    assert (await reencrypt(url, Cipher([NEW, OLD]))).changed == 14
    await beside.close()
    only_new = Store(url, Cipher([NEW]))
    await only_new.check_keys()
    await check(only_new, "ab")
    await only_new.close()

    assert (await reencrypt(url, Cipher([OFF, NEW]))).changed == 14
    plain = Store(url)
    await plain.check_keys()
    await check(plain, "cd")
    await plain.close()


async def test_a_wrong_or_missing_key_is_told_at_the_start(url: str) -> None:
    sealed = Store(url, Cipher([OLD]))
    await sealed.check_keys()
    await sealed.close()

    for keys in ((), (NEW,), (OFF, NEW)):
        store = Store(url, Cipher(keys))
        with pytest.raises(MisconfiguredService, match="TRIAGE_ENCRYPTION_KEYS to the key"):
            await store.check_keys()
        await store.close()
    with pytest.raises(MisconfiguredService):
        await reencrypt(url, Cipher([NEW]))
    both = Store(url, Cipher([NEW, OLD]))
    await both.check_keys()
    await both.close()


async def test_what_was_cut_off_is_taken_up_again(url: str) -> None:
    store = Store(url)
    for n in range(450):
        await store.incidents.add(Incident(id=f"i{n}", write_up=f"{MARKER} {n}"), "t")
    await store.close()

    def stop(_: str, done: int, total: int) -> None:
        if done >= 200:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await reencrypt(url, Cipher([OLD]), stop)
    assert (await reencrypt(url, Cipher([OLD]))).changed == 250


async def test_rows_that_others_write_meanwhile_keep_what_was_written(url: str) -> None:
    store = Store(url, Cipher([NEW, OLD]))
    await fill(store, "ab")

    async def write() -> None:
        for n in range(20):
            await store.record([], imported={"a": Incident(id="a", write_up=f"Edition {n}.")}, taxonomy="t")

    async def change() -> None:
        for keys in ((OLD, NEW), (NEW, OLD)):
            await reencrypt(url, Cipher(keys))

    await asyncio.gather(write(), change())

    assert (await store.incidents.get("a")).incident.write_up == "Edition 19."
    await store.close()


async def test_a_text_that_looks_sealed_does_no_harm_in_a_plain_store(url: str) -> None:
    store = Store(url)
    odd = Incident(id="odd", title="sealed:1:x", write_up="plain:1:sealed:1:x", attributes={"sealed": "sealed:1:x"})
    await store.incidents.add(odd, "t")
    assert (await store.incidents.get("odd")).incident == odd
    await store.close()

    await reencrypt(url, Cipher([OLD]))
    store = Store(url, Cipher([OLD]))
    assert (await store.incidents.get("odd")).incident == odd
    await store.close()


def test_every_table_with_sealed_columns_has_one_key_to_go_by() -> None:
    from triage.store.reencryption import _columns

    for table in metadata.sorted_tables:
        assert not list(_columns(table)) or len(table.primary_key.columns) == 1
