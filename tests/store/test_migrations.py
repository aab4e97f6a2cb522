"""Databases of earlier versions, filled with what those versions wrote, brought to this one and back."""

from __future__ import annotations

import asyncio
import signal
import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.processes import Forked
from tests.store import killed_upgrade
from triage.domain.errors import MisconfiguredService
from triage.domain.incident import Incident
from triage.store import Pending, Store, downgrade, upgrade
from triage.store.database import create_engine
from triage.store.migrations import known_revisions, read_revision

# As version 0.1.0 wrote them: SQL of that revision, not of today's tables.
INCIDENTS = """
INSERT INTO incidents (id, title, write_up, source, service, severity, url, started_at, attributes, taxonomy, status,
  attempts, failures, failure, retry_at, created_at, updated_at) VALUES
('waits', 'Tïtle', 'The switch failed – twice.', 'page', 'api', 'high', 'https://example.org/1',
  '2026-03-01 08:00:00.123456', '{"n": 1, "x": 0.5, "ok": true, "none": null}', 't', 'pending', 0, 0, NULL, NULL,
  '2026-03-02 09:00:00', '2026-03-02 09:00:00'),
('done', '', 'The disk was full.', '', '', '', '', NULL, '{}', 't', 'triaged', 0, 0, NULL, NULL,
  '2026-03-02 09:00:01', '2026-03-02 09:05:00'),
('failed', '', 'The parser gave up.', '', '', '', '', NULL, '{}', 't', 'failed', 2, 2, 'It broke: "why"',
  '2026-03-02 10:00:00', '2026-03-02 09:00:02', '2026-03-02 09:06:00'),
('shipped', 'From the paper', 'A cluster lost its network.', '', '', '', '', NULL, '{}', 't', 'imported', 0, 0, NULL,
  NULL, '2026-03-02 09:00:03', '2026-03-02 09:00:03'),
('imported', '', 'Ours, brought in.', '', '', '', '', NULL, '{}', 't', 'imported', 0, 0, NULL, NULL,
  '2026-03-02 09:00:04', '2026-03-02 09:00:04')
"""
ANNOTATIONS = """
INSERT INTO annotations (incident_id, facet, labels, annotator, origin, is_gold, note, created_at) VALUES
('done', 'category', '["power"]', 'ada', 'human', false, 'was unsure', '2026-03-03 09:00:00'),
('done', 'category', '["network", "power"]', 'ada', 'human', true, '', '2026-03-03 09:01:00'),
('shipped', 'category', '["network"]', 'llm_incidents', 'derived', true, '', '2026-03-03 09:02:00'),
('imported', 'category', '["power"]', 'import', 'derived', true, '', '2026-03-03 09:03:00')
"""
TRIAGES = """
INSERT INTO triages (incident_id, run_id, document, degraded, created_at) VALUES
('done', 'done', '{"incident_id": "done", "facets": {"category": {"facet": "category", "labels": ["power"]}},
  "provenance": {"taxonomy": "t", "taxonomy_version": "1.0.0"}, "created_at": "2026-03-02T09:05:00Z"}', false,
  '2026-03-02 09:05:00')
"""
VECTORS = "INSERT INTO vectors (incident_id, fingerprint, dimension, vector) VALUES ('done', 'one', 3, :vector)"
OF_0002 = (
    "UPDATE annotations SET saw_model = true WHERE id = 1",
    "UPDATE annotations SET settles = '[1]' WHERE id = 2",
    "INSERT INTO assignments (incident_id, annotator, facets, shows_model, created_at) VALUES "
    "('done', 'ada', '[\"category\"]', true, '2026-03-02 12:00:00')",
    "INSERT INTO servings (incident_id, annotator, showed_model, created_at) VALUES "
    "('done', 'ada', true, '2026-03-02 12:01:00')",
)
TABLES = {
    "0001": ("incidents", "annotations", "triages", "vectors"),
    "0002": ("incidents", "annotations", "triages", "vectors", "assignments", "servings"),
}


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        made: str = request.getfixturevalue("new_database")()
        return made
    return f"sqlite:///{tmp_path / 'triage.db'}"


async def on(url: str, work: Callable[[AsyncConnection], Any]) -> Any:
    engine = create_engine(url)
    try:
        async with engine.begin() as connection:
            if engine.dialect.name == "postgresql":
                await connection.execute(text("SET TIME ZONE 'UTC'"))
            return await work(connection)
    finally:
        await engine.dispose()


async def fill(url: str, revision: str) -> None:
    """A database as the version of `revision` left it."""
    await upgrade(url, revision)

    async def write(connection: AsyncConnection) -> None:
        for statement in (INCIDENTS, ANNOTATIONS, TRIAGES):
            # Colons in JSON are no parameters.
            await connection.exec_driver_sql(statement)
        await connection.execute(text(VECTORS), {"vector": struct.pack("<3f", 0.5, -1.0, 2.0)})
        for statement in OF_0002 if revision >= "0002" else ():
            await connection.exec_driver_sql(statement)

    await on(url, write)


async def content(url: str, revision: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row that the version of `revision` knows, as it lies there."""

    async def read(connection: AsyncConnection) -> dict[str, list[tuple[Any, ...]]]:
        return {
            name: sorted(map(tuple, await connection.execute(text(f"SELECT * FROM {name}"))), key=repr)
            for name in TABLES[revision]
        }

    found: dict[str, list[tuple[Any, ...]]] = await on(url, read)
    return found


async def check(url: str, revision: str) -> None:
    """What was written at `revision` comes out of today's store."""
    store = Store(url)
    try:
        await store.check_keys()
        waits = await store.incidents.get("waits")
        assert waits.incident == Incident(
            id="waits",
            title="Tïtle",
            write_up="The switch failed – twice.",
            source="page",
            service="api",
            severity="high",
            url="https://example.org/1",
            started_at=datetime(2026, 3, 1, 8, 0, 0, 123456, tzinfo=UTC),
            attributes={"n": 1, "x": 0.5, "ok": True, "none": None},
        )
        assert waits.created_at == datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
        assert await store.attempts.list_pending() == [Pending("waits", 0)]
        failed = await store.incidents.get("failed")
        assert (failed.failures, failed.failure, failed.attempts) == (2, 'It broke: "why"', 2)
        assert failed.retry_at == datetime(2026, 3, 2, 10, 0, tzinfo=UTC)
        assert [one.id for one in (await store.incidents.list(9)).incidents] == [
            "imported",
            "shipped",
            "failed",
            "done",
            "waits",
        ]
        assert {one.id: one.team for one in (await store.incidents.list(9)).incidents} == {
            "imported": "default",
            "shipped": "shared",
            "failed": "default",
            "done": "default",
            "waits": "default",
        }
        triage = await store.triages.find("done")
        assert triage is not None
        assert triage.facets["category"].labels == ("power",)
        given = await store.annotations.list("done")
        assert [(one.labels, one.note) for one in given] == [(("power",), "was unsure"), (("network", "power"), "")]
        later = [(True, ()), (None, (1,))] if revision >= "0002" else [(None, ()), (None, ())]
        assert [(one.saw_model, one.settles) for one in given] == later
        assert (await store.gold.find_many(["done"]))["done"] == {"category": ("network", "power")}
        assert await store.gold.list_ids() == {"done", "shipped", "imported"}
        assert np.array_equal(
            (await store.vectors.find_many("one", ["done"]))["done"], np.array([0.5, -1, 2], dtype=np.float32)
        )
        assert len(await store.assignments.list()) == (1 if revision >= "0002" else 0)
        judged = await store.reviews.list("t", ["category"], datetime(2026, 1, 1, tzinfo=UTC), 9)
        assert {one.triaged for one in judged} == {("power",)}
    finally:
        await store.close()


@pytest.mark.parametrize("revision", ["0001", "0002"])
async def test_what_an_earlier_version_wrote_is_there_after_the_upgrade_and_after_going_back(
    url: str, revision: str
) -> None:
    await fill(url, revision)
    before = await content(url, revision)

    await upgrade(url)
    await check(url, revision)
    await downgrade(url, revision)
    assert await content(url, revision) == before
    await upgrade(url)
    await check(url, revision)


async def test_many_processes_may_upgrade_a_database_with_data_at_once(url: str) -> None:
    await fill(url, "0001")

    await asyncio.gather(*(upgrade(url) for _ in range(8)))

    await check(url, "0001")


@pytest.mark.slow
@pytest.mark.parametrize("statement", [14, 26])
async def test_an_upgrade_that_is_killed_leaves_the_database_as_it_was(url: str, statement: int) -> None:
    await fill(url, "0001")
    before = await content(url, "0001")

    assert await asyncio.to_thread(Forked(killed_upgrade.main, url, statement).wait, 60) == -signal.SIGKILL
    assert await on(url, lambda connection: connection.run_sync(read_revision)) == "0001"
    assert await content(url, "0001") == before
    await upgrade(url)
    await check(url, "0001")


@pytest.mark.parametrize("is_compatible", [True, False])
async def test_a_database_of_a_newer_version_is_worked_on_or_refused_by_what_it_says(
    url: str, is_compatible: bool
) -> None:
    await fill(url, "0002")
    await upgrade(url)

    async def as_a_newer_version_would(connection: AsyncConnection) -> None:
        await connection.execute(text("UPDATE alembic_version SET version_num = '0099'"))
        await connection.execute(text("ALTER TABLE incidents ADD COLUMN novelty VARCHAR(9) DEFAULT 'new' NOT NULL"))
        compatible = known_revisions()[-1] if is_compatible else "0099"
        update = text("UPDATE schema_info SET value = :compatible WHERE name = 'compatible_from'")
        await connection.execute(update, {"compatible": compatible})

    await on(url, as_a_newer_version_would)

    if is_compatible:
        await upgrade(url)
        await check(url, "0002")
        store = Store(url)
        assert await store.incidents.add(Incident(id="new", write_up="By the older program."), "t")
        await store.close()
    else:
        with pytest.raises(MisconfiguredService, match=r"newer triage \(revision 0099\).*knows up to"):
            await upgrade(url)
    with pytest.raises(MisconfiguredService, match="go back with the newer one"):
        await downgrade(url, "0002")


async def test_a_newer_database_that_says_nothing_is_refused(url: str) -> None:
    await upgrade(url, "0002")
    await on(url, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '0099'")))

    with pytest.raises(MisconfiguredService, match="start the newer version"):
        await upgrade(url)


def test_revisions_are_numbered_so_that_earlier_and_later_can_be_told() -> None:
    assert known_revisions() == [f"{n:04}" for n in range(1, len(known_revisions()) + 1)]
