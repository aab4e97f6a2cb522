from __future__ import annotations

import json
import shutil
import stat
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine as create_sync_engine
from sqlalchemy import text

from tests.store.everything import fill_every_table
from tests.store.test_reencryption import MARKER, check, fill
from triage.domain.errors import Conflict, InvalidInput, MisconfiguredService, NotFound
from triage.domain.incident import Incident
from triage.store import Store, downgrade, restore_backup, upgrade, verify_backup, write_backup
from triage.store.database import create_engine
from triage.store.encryption import Cipher, new_key
from triage.store.tables import metadata

BOTH = ["sqlite", "postgresql"]


@pytest.fixture
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], str]:
    """The URL of a new database of this kind, without tables."""

    def empty(kind: str) -> str:
        if kind == "postgresql":
            url: str = request.getfixturevalue("new_database")()
            return url
        return f"sqlite:///{tmp_path / f'{uuid.uuid4().hex}.db'}"

    return empty


async def filled(url: str, rows: int = 3) -> dict[str, int]:
    await upgrade(url)
    engine = create_engine(url)
    try:
        return await fill_every_table(engine, rows)
    finally:
        await engine.dispose()


def tables(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("tables/")}


@pytest.mark.parametrize("target", BOTH)
@pytest.mark.parametrize("source", BOTH)
async def test_every_table_comes_back_the_same_in_either_database(
    source: str, target: str, empty: Callable[[str], str], tmp_path: Path
) -> None:
    old, new = empty(source), empty(target)
    counts = await filled(old)
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"

    manifest = await write_backup(old, first)
    assert {name: table.rows for name, table in manifest.tables.items()} == counts
    assert set(counts) == set(metadata.tables)
    assert min(counts.values()) >= 3
    assert await restore_backup(new, first) == manifest
    await write_backup(new, second)

    assert tables(first) == tables(second)
    assert len(manifest.embedders) == len(set(manifest.embedders)) > 0
    # New rows are numbered behind those that were restored.
    store = Store(new)
    await store.incidents.add(Incident(id="new", write_up="After the restore."), "t")
    assert (await store.incidents.list(1)).incidents[0].id == "new"
    await store.close()


@pytest.mark.parametrize("kind", BOTH)
async def test_a_backup_is_of_one_moment_however_much_is_written_meanwhile(
    kind: str, empty: Callable[[str], str], tmp_path: Path
) -> None:
    url = empty(kind)
    await upgrade(url)
    store = Store(url)
    await fill(store, "ab")
    await store.close()
    writing = create_sync_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    written = 0

    def write(_: str, done: int, total: int) -> None:
        nonlocal written
        written += 1
        with writing.begin() as connection:
            for query in (
                f"INSERT INTO incidents (id, title, write_up, source, service, severity, url, attributes, taxonomy, "
                f"status, created_at, updated_at) SELECT 'late-{written}', title, write_up, source, service, severity, "
                "url, attributes, taxonomy, status, created_at, updated_at FROM incidents WHERE id = 'a'",
                f"INSERT INTO triages (incident_id, run_id, document, degraded, created_at) SELECT 'late-{written}', "
                f"'late-{written}', document, degraded, created_at FROM triages WHERE run_id = 'a'",
                "DELETE FROM annotations WHERE incident_id = 'b'",
            ):
                connection.execute(text(query))

    manifest = await write_backup(url, tmp_path / "b.zip", progress=write)
    writing.dispose()

    assert written >= 3
    assert {name: manifest.tables[name].rows for name in ("incidents", "triages", "annotations")} == {
        "incidents": 3,
        "triages": 2,
        "annotations": 2,
    }
    copy = empty(kind)
    await restore_backup(copy, tmp_path / "b.zip")
    store = Store(copy)
    await check(store, "ab")
    await store.close()


async def test_a_backup_of_a_sealed_store_is_sealed_and_opens_with_its_keys(
    empty: Callable[[str], str], tmp_path: Path
) -> None:
    old, new, key = empty("sqlite"), empty("sqlite"), new_key()
    await upgrade(old)
    store = Store(old, Cipher([key]))
    await store.check_keys()
    await fill(store, "ab")
    await store.close()

    manifest = await write_backup(old, tmp_path / "b.zip")
    assert manifest.is_sealed
    assert all(MARKER.encode() not in rows for rows in tables(tmp_path / "b.zip").values())

    await restore_backup(new, tmp_path / "b.zip")
    with pytest.raises(MisconfiguredService):
        await Store(new).check_keys()
    store = Store(new, Cipher([key]))
    await store.check_keys()
    await check(store, "ab")
    await store.close()


@pytest.mark.parametrize("kind", BOTH)
async def test_a_backup_of_an_earlier_revision_is_restored_there_and_upgraded(
    kind: str, empty: Callable[[str], str], tmp_path: Path
) -> None:
    old, new = empty("sqlite"), empty(kind)
    await upgrade(old)
    store = Store(old)
    await fill(store, "ab")
    await store.close()
    await downgrade(old, "0001")

    manifest = await write_backup(old, tmp_path / "b.zip")
    assert (manifest.revision, "assignments" in manifest.tables) == ("0001", False)
    await restore_backup(new, tmp_path / "b.zip")

    store = Store(new)
    await store.check_keys()
    await check(store, "ab")
    await store.close()


@pytest.mark.parametrize("kind", BOTH)
async def test_a_database_that_holds_something_is_replaced_only_when_asked(
    kind: str, empty: Callable[[str], str], tmp_path: Path
) -> None:
    old, new = empty("sqlite"), empty(kind)
    await filled(old)
    await write_backup(old, tmp_path / "b.zip")
    await upgrade(new)
    store = Store(new)
    await store.incidents.add(Incident(id="mine", write_up="Something of value."), "t")

    for dry_run in (False, True):
        with pytest.raises(Conflict, match="incidents"):
            await restore_backup(new, tmp_path / "b.zip", dry_run=dry_run)
    await restore_backup(new, tmp_path / "b.zip", replace=True, dry_run=True)
    assert await store.incidents.list_ids() == ["mine"]
    await store.close()

    await restore_backup(new, tmp_path / "b.zip", replace=True)
    await write_backup(new, tmp_path / "again.zip")
    assert tables(tmp_path / "again.zip") == tables(tmp_path / "b.zip")


@pytest.mark.parametrize("kind", BOTH)
async def test_a_restore_that_fails_in_the_middle_changes_nothing(
    kind: str, empty: Callable[[str], str], tmp_path: Path
) -> None:
    old, new = empty("sqlite"), empty(kind)
    await filled(old)
    path = tmp_path / "b.zip"
    await write_backup(old, path)
    await upgrade(new)
    store = Store(new)
    await store.incidents.add(Incident(id="mine", write_up="Something of value."), "t")
    await store.close()

    def stop(_: str, done: int, total: int) -> None:
        if done > total / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await restore_backup(new, path, replace=True, progress=stop)

    store = Store(new)
    assert await store.incidents.list_ids() == ["mine"]
    await store.close()


async def test_api_keys_may_stay_behind_and_the_file_is_its_owners(empty: Callable[[str], str], tmp_path: Path) -> None:
    url = empty("sqlite")
    await filled(url)
    path = tmp_path / "b.zip"

    manifest = await write_backup(url, path, with_keys=False)

    assert not manifest.has_keys
    assert tables(path)["tables/api_keys.jsonl"] == b""
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert verify_backup(path) == manifest
    assert not path.with_name("b.zip.part").exists()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import asyncio

    folder = tmp_path_factory.mktemp("whole")
    asyncio.run(filled(f"sqlite:///{folder / 'a.db'}"))
    asyncio.run(write_backup(f"sqlite:///{folder / 'a.db'}", folder / "b.zip"))
    return folder / "b.zip"


async def test_a_backup_is_a_new_file_whatever_lies_or_leads_elsewhere_in_its_place(
    empty: Callable[[str], str], tmp_path: Path
) -> None:
    url, path, elsewhere = empty("sqlite"), tmp_path / "b.zip", tmp_path / "elsewhere"
    await filled(url)
    part = path.with_name("b.zip.part")

    part.write_bytes(b"laid here by someone else")
    part.chmod(0o666)
    await write_backup(url, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600

    elsewhere.write_bytes(b"not ours")
    part.symlink_to(elsewhere)
    await write_backup(url, path)
    assert elsewhere.read_bytes() == b"not ours"
    assert not path.is_symlink()
    verify_backup(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), cut=st.booleans())
def test_a_damaged_backup_is_refused_unless_the_damage_touches_nothing(
    whole: Path, tmp_path: Path, data: st.DataObject, cut: bool
) -> None:
    content = bytearray(whole.read_bytes())
    place = data.draw(st.integers(min_value=0, max_value=len(content) - 1))
    damaged = tmp_path / "damaged.zip"
    if cut:
        damaged.write_bytes(content[:place])
        with pytest.raises(InvalidInput, match="no whole backup"):
            verify_backup(damaged)
        return
    content[place] ^= data.draw(st.integers(min_value=1, max_value=255))
    damaged.write_bytes(content)
    try:
        found = verify_backup(damaged)
    except InvalidInput:
        return
    assert (found, tables(damaged)) == (verify_backup(whole), tables(whole))


async def test_a_backup_of_a_newer_version_is_refused(whole: Path, empty: Callable[[str], str], tmp_path: Path) -> None:
    for field, value, words in (("revision", "9999", "newer triage"), ("format", 9, "newer triage")):
        newer = tmp_path / f"{field}.zip"
        shutil.copy(whole, newer)
        with zipfile.ZipFile(whole) as old, zipfile.ZipFile(newer, "w") as archive:
            for name in old.namelist():
                content = old.read(name)
                if name == "manifest.json":
                    content = json.dumps(json.loads(content) | {field: value}).encode()
                archive.writestr(name, content)
        with pytest.raises(InvalidInput, match=words):
            await restore_backup(empty("sqlite"), newer)


async def test_where_there_is_nothing_there_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="There is no database"):
        await write_backup(f"sqlite:///{tmp_path / 'none.db'}", tmp_path / "b.zip")
    (tmp_path / "empty.db").touch()
    with pytest.raises(NotFound, match="no tables"):
        await write_backup(f"sqlite:///{tmp_path / 'empty.db'}", tmp_path / "b.zip")
    with pytest.raises(InvalidInput, match="can't be written"):
        await write_backup(f"sqlite:///{tmp_path / 'empty.db'}", tmp_path / "nowhere" / "b.zip")
    with pytest.raises(NotFound, match="no file"):
        verify_backup(tmp_path / "b.zip")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.db"]
