"""The index follows the store whatever dies in between, and whoever else writes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.history.test_casebook import KERNEL, RECORDS, SWITCH, TAXONOMY, gold
from tests.parts import HashingEmbedder, KeywordPipeline
from tests.processes import Forked
from triage.domain.annotation import Labels
from triage.domain.errors import NotFound
from triage.domain.incident import Incident
from triage.domain.principal import SHARED_TEAM
from triage.history import IndexUnavailable
from triage.history.casebook import Casebook
from triage.history.chroma import ChromaHistory
from triage.history.indexing import Indexer
from triage.redaction import Redactor
from triage.server.index_keeper import index_keeper
from triage.store import Store, upgrade


@pytest.fixture
def history(tmp_path: Path) -> Iterator[ChromaHistory]:
    history = ChromaHistory.open(tmp_path / "index", HashingEmbedder().fingerprint)
    yield history
    history.close()


@pytest.fixture
def casebook(store: Store, history: ChromaHistory) -> Casebook:
    return Casebook(store, history, Redactor(), HashingEmbedder(), TAXONOMY)


class Unreachable:
    """A history whose index does not answer as long as `is_away`."""

    def __init__(self, history: ChromaHistory) -> None:
        self._history = history
        self.is_away = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._history, name)

    async def remember(self, *given: object) -> None:
        if self.is_away:
            raise IndexUnavailable("No one answers.")
        await self._history.remember(*given)  # type: ignore[arg-type]


async def waiting(store: Store) -> int:
    return (await store.index_marks.get_version()).waiting


async def test_every_change_takes_its_marks_away_once_the_index_follows(casebook: Casebook, store: Store) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    await casebook.annotate("switch", [gold("infrastructure")])
    await casebook.delete("kernel", "ada")

    assert await waiting(store) == 0
    assert (await store.index_marks.get_version()).last == 4
    assert (await casebook.indexer.compare()).is_clean


async def test_an_annotation_is_kept_while_the_index_is_away_and_found_once_it_is_back(
    store: Store, history: ChromaHistory
) -> None:
    away = Unreachable(history)
    casebook = Casebook(store, away, Redactor(), HashingEmbedder(), TAXONOMY)  # type: ignore[arg-type]
    await casebook.accept(SWITCH)

    assert len(await casebook.annotate("switch", [gold("infrastructure")])) == 1
    assert await waiting(store) == 1
    with pytest.raises(IndexUnavailable):
        await casebook.indexer.repair(older_than_s=0)
    away.is_away = False
    assert await casebook.indexer.repair(older_than_s=60) == 0
    assert await casebook.indexer.repair(older_than_s=0) == 1
    assert await waiting(store) == 0
    assert [n.incident_id for n in await casebook.search("switch", 1)] == ["switch"]


async def test_the_keeper_works_off_what_was_left(
    casebook: Casebook, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Indexer.repair, "__defaults__", (0.0,))
    await casebook.accept(SWITCH)
    await store.record([gold("infrastructure").model_copy(update={"incident_id": "switch"})], fingerprint="hashing-64")
    async with index_keeper(casebook, every_s=0.02), asyncio.timeout(10):
        while await waiting(store):  # noqa: ASYNC110 - nothing tells when the keeper is done
            await asyncio.sleep(0.02)

    assert (await casebook.indexer.compare()).is_clean


async def test_a_mark_that_is_written_meanwhile_stays(casebook: Casebook, store: Store) -> None:
    await casebook.accept(SWITCH)
    await store.record([gold("infrastructure").model_copy(update={"incident_id": "switch"})])
    seen = await store.index_marks.list(before=datetime.now(UTC) + timedelta(seconds=1), limit=10)
    await store.record([gold("operational").model_copy(update={"incident_id": "switch"})])
    await store.index_marks.delete_through(seen)

    assert await waiting(store) == 1


async def test_what_changes_nothing_of_the_history_leaves_no_mark(casebook: Casebook, store: Store) -> None:
    await casebook.accept(SWITCH)
    await casebook.annotate("switch", [gold("infrastructure", is_gold=False)])
    await casebook.import_history(RECORDS[1:], "the project", "derived")
    before = await store.index_marks.get_version()
    await casebook.import_history(RECORDS[1:], "the project", "derived")

    assert await store.index_marks.get_version() == before


class Overtaken:
    """A history in front of which, while it is written, another process corrects the same incident."""

    def __init__(self, history: ChromaHistory, correct: Callable[[], object]) -> None:
        self._history = history
        self.correct: Callable[[], object] | None = correct

    def __getattr__(self, name: str) -> object:
        return getattr(self._history, name)

    async def remember(self, incidents: Sequence[tuple[Incident, Labels]], *others: object) -> None:
        if self.correct is not None:
            correct, self.correct = self.correct, None
            await correct()  # type: ignore[misc]
        await self._history.remember(incidents, *others)  # type: ignore[arg-type]


async def test_a_correction_that_was_overtaken_is_written_again(
    casebook: Casebook, store: Store, history: ChromaHistory
) -> None:
    async def correct() -> None:
        await casebook.annotate("switch", [gold("operational", annotator="grace")])

    await casebook.accept(SWITCH)
    slow = Casebook(store, Overtaken(history, correct), Redactor(), HashingEmbedder(), TAXONOMY)  # type: ignore[arg-type]
    await slow.annotate("switch", [gold("infrastructure")])

    assert (await casebook.search("switch", 1))[0].labels == {"category": ("operational",)}
    assert (await casebook.indexer.compare()).is_clean
    assert await waiting(store) == 0


async def test_several_repairs_at_once_do_no_harm(casebook: Casebook, store: Store) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    given = [gold("operational", annotator=f"a{n}").model_copy(update={"incident_id": "switch"}) for n in range(9)]
    await store.record(given)
    await asyncio.gather(*(casebook.indexer.repair(older_than_s=0) for _ in range(4)))

    assert await waiting(store) == 0
    assert (await casebook.indexer.compare()).is_clean


async def test_an_index_in_memory_leaves_the_marks_to_the_one_that_lasts(casebook: Casebook, store: Store) -> None:
    memory = ChromaHistory.open(None, HashingEmbedder().fingerprint)
    command = Casebook(store, memory, Redactor(), HashingEmbedder(), TAXONOMY)
    await command.import_history(RECORDS, "the project", "derived")

    assert await casebook.search("switch", 5) == []
    assert await casebook.indexer.repair(older_than_s=0) == 2
    assert len(await casebook.search("switch", 5)) == 2
    memory.close()


@pytest.mark.parametrize("harm", ["missing", "surplus", "differing", "other_vectors"])
async def test_a_comparison_tells_what_is_wrong_and_mending_puts_it_right(
    casebook: Casebook, history: ChromaHistory, harm: str
) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    vectors = await HashingEmbedder().embed([SWITCH.write_up])
    if harm == "missing":
        await history.forget(["switch"])
    elif harm == "surplus":
        await history.remember([(SWITCH.model_copy(update={"id": "ghost"}), RECORDS[0][1])], vectors, ["default"])
    elif harm == "differing":
        await history.remember([(SWITCH, {"category": ("operational",)})], vectors, ["default"])
    else:
        await history.remember([RECORDS[0]], -vectors, ["default"])
    report = await casebook.indexer.compare(all_vectors=True)

    assert {kind: getattr(report, kind) for kind in ("missing", "surplus", "differing", "other_vectors")} == {
        "missing": 0, "surplus": 0, "differing": 0, "other_vectors": 0
    } | {harm: 1}  # fmt: skip
    assert not report.is_clean
    if harm == "other_vectors":
        await casebook.indexer.rebuild()
    else:
        assert await casebook.indexer.mend() == 1
    assert (await casebook.indexer.compare(all_vectors=True)).is_clean


async def test_the_start_fills_an_index_that_was_lost_and_does_not_read_one_that_is_whole(
    casebook: Casebook, history: ChromaHistory, monkeypatch: pytest.MonkeyPatch
) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    await history.clear()
    await casebook.indexer.prepare()
    assert (await casebook.indexer.compare()).is_clean

    async def read_all(*_args: object, **_options: object) -> None:
        pytest.fail("the whole index was read")

    monkeypatch.setattr(ChromaHistory, "entries", read_all)
    await casebook.indexer.prepare()


async def test_teams_see_their_own_and_what_is_shared(casebook: Casebook) -> None:
    await casebook.import_history(RECORDS[1:], "the project", "derived", team=SHARED_TEAM)
    for team in ("payments", "search"):
        await casebook.accept(SWITCH.model_copy(update={"id": team}), team=team)
        await casebook.annotate(team, [gold("infrastructure")])

    async def seen(teams: Collection[str] | None) -> set[str]:
        return {n.incident_id for n in await casebook.search("a switch", 9, teams=teams)}

    assert await seen({"payments", SHARED_TEAM}) == {"payments", "kernel"}
    assert await seen({"search"}) == {"search"}
    assert await seen({"nobody"}) == set()
    assert await seen(None) == {"payments", "search", "kernel"}
    assert (await casebook.indexer.compare()).is_clean


async def test_examples_stay_the_same_object_until_the_history_changes(
    casebook: Casebook, history: ChromaHistory
) -> None:
    await casebook.import_history(RECORDS, "the project", "derived")
    first = await history.examples("")
    assert await history.examples("") is first
    assert [e.incident_id for e in await history.examples("", exclude=["kernel"])] == ["switch"]
    await casebook.annotate("switch", [gold("node", facet="failure_mode")])

    labels = {e.incident_id: e.labels["failure_mode"] for e in await history.examples("")}
    assert labels == {"switch": ("node",), "kernel": ("wrong_output",)}


async def test_a_deleted_incident_is_gone_and_does_not_come_back(casebook: Casebook, store: Store) -> None:
    triage, _ = await KeywordPipeline(TAXONOMY).run(KERNEL)
    await casebook.import_history(RECORDS, "the project", "derived")
    await store.triages.save("run-1", triage)
    await casebook.delete("kernel", "ada")

    await store.triages.save("run-2", triage)
    assert await store.incidents.find("kernel") is None
    assert await store.triages.find("kernel") is None
    assert [n.incident_id for n in await casebook.search("a kernel", 5)] == ["switch"]
    with pytest.raises(NotFound):
        await casebook.delete("kernel", "ada")
    with pytest.raises(NotFound):
        await store.record([gold("operational").model_copy(update={"incident_id": "kernel"})])
    assert (await casebook.indexer.compare()).is_clean


async def test_no_byte_of_a_deleted_write_up_is_left_on_disk(tmp_path: Path, casebook: Casebook, store: Store) -> None:
    phrase = "zyzzyva-marker-phrase"
    secret = SWITCH.model_copy(update={"id": "secret", "write_up": f"The {phrase} lost its uplinks. " * 200})
    await casebook.import_history([*RECORDS, (secret, RECORDS[0][1])], "the project", "derived")
    assert (await casebook.search(phrase, 1))[0].incident_id == "secret"
    assert phrase in everything(tmp_path)
    assert phrase not in everything(tmp_path / "index")

    await casebook.delete("secret", "ada")

    assert phrase not in everything(tmp_path)
    assert "secret" in everything(tmp_path)  # the audit log's row


def everything(folder: Path) -> str:
    return "".join(path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file())


async def act_and_die(folder: Path, act: str) -> None:
    """Change the history in a process that dies before its index is changed."""
    history = ChromaHistory.open(folder / "index", HashingEmbedder().fingerprint)
    casebook = Casebook(Store(f"sqlite:///{folder / 'triage.db'}"), history, Redactor(), HashingEmbedder(), TAXONOMY)
    await casebook.import_history(RECORDS, "the project", "derived")

    async def die(*_args: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    history.remember = history.forget = die
    if act == "annotate":
        await casebook.annotate("switch", [gold("node", facet="failure_mode")])
    elif act == "delete":
        await casebook.delete("switch", "ada")
    else:
        await casebook.import_history([(RECORDS[0][0].model_copy(update={"id": "new"}), RECORDS[0][1])], "x", "derived")


@pytest.mark.slow
@pytest.mark.parametrize("act", ["annotate", "delete", "import"])
async def test_what_a_killed_process_left_undone_in_the_index_is_caught_up_with(
    tmp_path: Path, url: str, act: str
) -> None:
    died = Forked(act_and_die, tmp_path, act)
    assert await asyncio.to_thread(died.wait, 120) == -signal.SIGKILL, died.text("stderr")
    store = Store(url)
    history = ChromaHistory.open(tmp_path / "index", HashingEmbedder().fingerprint)
    casebook = Casebook(store, history, Redactor(), HashingEmbedder(), TAXONOMY)

    assert await waiting(store) == 1
    assert not (await casebook.indexer.compare()).is_clean
    assert await casebook.indexer.repair(older_than_s=0) == 1
    assert (await casebook.indexer.compare()).is_clean
    assert await waiting(store) == 0
    history.close()
    await store.close()


@pytest.mark.slow
async def test_one_process_at_a_time_builds_the_index(new_database: Callable[[], str]) -> None:
    url = new_database()
    await upgrade(url)
    stores, inside, most = [Store(url), Store(url)], 0, 0

    async def work(store: Store) -> None:
        nonlocal inside, most
        async with store.lock("index"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0.05)
            inside -= 1

    await asyncio.gather(*(work(store) for store in stores * 3))
    assert most == 1
    assert (await stores[0].index_marks.get_version()).waiting == 0
    for store in stores:
        await store.close()
