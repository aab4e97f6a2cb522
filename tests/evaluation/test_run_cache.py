"""Runs in the cache: which are listed, which are opened and kept, and what is refused."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from triage.domain.errors import InvalidInput, NotFound
from triage.domain.taxonomy import Taxonomy
from triage.evaluation import CaseRecord, Suite, run_cache, summarise, write_summary
from triage.evaluation.run_cache import RunCache, TooLarge
from triage.intake.data_files import InvalidDataset
from triage.models.chat.prices import Price

from .records import record, write_run

RECORDS = [record(f"case-{n}", ["power"], ["power" if n % 3 else "code"]) for n in range(12)]


@pytest.fixture
def runs(tmp_path: Path, write_suite: Callable[..., Suite], small: Taxonomy) -> Path:
    """Two finished runs and one that isn't."""
    for name, gates in (("small-aaaa", ["accuracy.cause.point >= 0.5"]), ("small-bbbb", [])):
        run = write_run(tmp_path / "runs" / name, write_suite(gates=gates), RECORDS)
        write_summary(summarise(run, small), run.folder)
    write_run(tmp_path / "runs" / "other-cccc", write_suite(name="other"), RECORDS[:3])
    return tmp_path / "runs"


def change(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def append(folder: Path, records: Sequence[CaseRecord]) -> None:
    with (folder / "cases.jsonl").open("a") as file:
        file.writelines(one.model_dump_json() + "\n" for one in records)


def test_runs_are_listed_newest_first_with_their_figures(runs: Path) -> None:
    change(
        runs / "small-bbbb" / "run.json", started_at="2026-02-01T00:00:00Z", price={"prompt": 1.0, "completion": 2.0}
    )
    (runs / "tags.json").write_text(json.dumps({"main": {"small": "small-bbbb"}}))
    cache = RunCache(runs)
    listing = cache.listing()

    assert [one.name for one in listing.runs] == ["small-bbbb", "small-aaaa", "other-cccc"]
    newest = listing.runs[0]
    assert (newest.name, newest.model, newest.tags) == ("small-bbbb", "small-bbbb", ("main",))
    assert (listing.broken, listing.left_out) == ((), 0)
    summaries = cache.summaries(one.name for one in listing.runs)
    assert summaries["other-cccc"] is None
    assert newest.cost(summaries["small-bbbb"]) == Price(prompt=1.0, completion=2.0).of(1200, 0)
    assert listing.runs[1].cost(summaries["small-aaaa"]) is None


async def test_broken_folders_are_told_and_hide_no_other(runs: Path) -> None:
    (runs / "small-aaaa" / "run.json").write_text("{")
    (runs / "no-run").mkdir()
    (runs / "tags.json").write_text("[]")
    listing = RunCache(runs).listing()

    assert {one.name for one in listing.runs} == {"small-bbbb", "other-cccc"}
    assert {one.name for one in listing.broken} == {"small-aaaa", "tags.json"}
    assert all("damaged" in one.reason for one in listing.broken)
    with pytest.raises(NotFound, match="small-aaaa can't be shown"):
        await RunCache(runs).open("small-aaaa")
    assert RunCache(runs / "nothing").listing().runs == ()


async def test_only_names_of_the_listing_are_opened(runs: Path, tmp_path: Path) -> None:
    write_run(tmp_path / "elsewhere", Suite.model_validate(RunCache(runs).listing().runs[0].info.suite), RECORDS)
    cache = RunCache(runs)
    for name in (
        "../elsewhere",
        str(tmp_path / "elsewhere"),
        "small-",
        "latest",
        "",
        ".",
        "..",
        "small-aaaa/.",
        "a\0b",
    ):
        with pytest.raises(NotFound, match="There is no run"):
            await cache.open(name)
        with pytest.raises(NotFound):
            cache.is_at_hand(name)
        with pytest.raises(NotFound):
            await cache.compare("small-aaaa", name)


async def test_an_opened_run_is_kept_until_its_files_change(runs: Path) -> None:
    cache = RunCache(runs)
    assert not cache.is_at_hand("small-aaaa")
    before = await cache.open("small-aaaa")
    assert cache.is_at_hand("small-aaaa")
    assert await cache.open("small-aaaa") is before
    assert before.view.report.passed
    assert before.view.report.summary.done == 12
    assert before.no_cases == "the data is no longer where the run read it"

    append(runs / "small-aaaa", [record("more", ["power"], ["power"])])
    assert not cache.is_at_hand("small-aaaa")
    assert (await cache.open("small-aaaa")).view.report.summary.done == 13
    assert len(before.view.wrong) == 4


async def test_a_run_is_made_anew_where_anything_that_it_was_made_of_has_changed(
    runs: Path, write_suite: Callable[..., Suite], tmp_path: Path
) -> None:
    gates = ["delta.accuracy.cause >= -0.1 vs main", "delta.accuracy.cause >= -0.1 vs other-cccc"]
    run = write_run(runs / "small-dddd", write_suite(gates=gates), RECORDS)
    (tmp_path / "data.jsonl").touch()
    change(runs / "small-dddd" / "run.json", data_path=str(tmp_path / "data.jsonl"))
    (runs / "tags.json").write_text(json.dumps({"main": {"small": "small-bbbb"}}))
    found = RunCache(runs)
    for changed in (
        tmp_path / "data.jsonl",
        Path(run.suite.taxonomy),
        runs / "small-bbbb" / "cases.jsonl",
        runs / "other-cccc" / "cases.jsonl",
    ):
        before = await found.open("small-dddd")
        assert await found.open("small-dddd") is before
        os.utime(changed, (1, 1))
        assert not found.is_at_hand("small-dddd"), changed
        assert await found.open("small-dddd") is not before


async def test_only_so_much_is_kept(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_cache, "_CACHED_BYTES", (runs / "small-aaaa" / "cases.jsonl").stat().st_size + 1)
    found = RunCache(runs)
    for name in ("small-aaaa", "small-bbbb"):
        await found.open(name)
    assert [found.is_at_hand(name) for name in ("small-aaaa", "small-bbbb")] == [False, True]


async def test_what_gates_say_is_kept_longer_than_the_run(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_cache, "_CACHED_BYTES", 1)
    found = RunCache(runs)
    (gate,) = await found.gates("small-aaaa")
    assert gate.status == "passed"
    assert await found.gates("small-bbbb") == ()
    assert await found.gates("small-aaaa") == (gate,)
    assert not found.is_at_hand("small-aaaa")

    append(runs / "small-aaaa", [record(f"more-{n}", ["power"], ["code"]) for n in range(99)])
    assert (await found.gates("small-aaaa"))[0].status == "failed"


async def test_runs_that_are_opened_leave_the_threads_to_others(runs: Path) -> None:
    records = runs / "small-aaaa" / "cases.jsonl"
    whole = records.rename(runs / "whole.jsonl")
    os.mkfifo(records)
    with ThreadPoolExecutor(1) as shared:
        asyncio.get_running_loop().set_default_executor(shared)
        found = RunCache(runs)
        opened = [asyncio.ensure_future(found.open(name)) for name in ("small-aaaa", "small-bbbb", "small-aaaa")]
        # Whoever reads a pipe waits for its writer, which needs the only thread that is shared.
        pipe = await asyncio.wait_for(asyncio.to_thread(os.open, records, os.O_WRONLY), 10)
        assert not any(one.done() for one in opened)
        whole.rename(records)
        os.write(pipe, records.read_bytes())
        os.close(pipe)
        assert [(await one).view.report.summary.done for one in opened] == [12, 12, 12]


async def test_what_is_too_large_is_left_to_the_terminal(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_cache, "LARGEST_CASES", 1_000)
    with pytest.raises(TooLarge, match="triage eval show small-aaaa --html"):
        await RunCache(runs).open("small-aaaa")
    monkeypatch.setattr(run_cache, "LARGEST_DESCRIPTION", 10)
    listing = RunCache(runs).listing()
    assert not listing.runs
    assert len(listing.broken) == 3
    assert RunCache(runs).summaries(["small-aaaa"]) == {"small-aaaa": None}


def test_only_the_newest_folders_are_listed_and_the_others_counted(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_cache, "MOST_RUNS", 2)
    os.utime(runs / "small-aaaa" / "run.json", (1, 1))
    listing = RunCache(runs).listing()
    assert {one.name for one in listing.runs} == {"small-bbbb", "other-cccc"}
    assert listing.left_out == 1


def test_a_run_that_is_deleted_while_runs_are_listed_hides_no_other(runs: Path) -> None:
    """Many threads list at once, as pages do, while folders come and go."""
    found, run = RunCache(runs), (runs / "small-aaaa" / "run.json").read_bytes()
    with ThreadPoolExecutor(4) as threads:
        listed = [threads.submit(lambda: [found.listing() for _ in range(40)]) for _ in range(4)]
        while not all(one.done() for one in listed):
            (runs / "small-aaaa" / "run.json").unlink()
            (runs / "small-aaaa" / "run.json").write_bytes(run)
        for one in listed:
            for listing in one.result():
                assert {"small-bbbb", "other-cccc"} <= {run.name for run in listing.runs}


async def test_a_damaged_line_is_told_when_the_run_is_opened(runs: Path) -> None:
    with (runs / "small-aaaa" / "cases.jsonl").open("a") as file:
        file.write("{}\n")
    with pytest.raises(InvalidDataset, match="delete this line"):
        await RunCache(runs).open("small-aaaa")


async def test_two_runs_are_compared_once_on_the_cases_that_they_share(runs: Path) -> None:
    found = RunCache(runs)
    first = await found.compare("small-aaaa", "other-cccc")
    assert (first.n, first.only_base) == (3, 9)
    assert await found.compare("small-aaaa", "other-cccc") is first
    append(runs / "other-cccc", RECORDS[3:5])
    assert (await found.compare("small-aaaa", "other-cccc")).n == 5


async def test_runs_of_different_facets_can_not_be_compared(runs: Path, write_suite: Callable[..., Suite]) -> None:
    write_run(runs / "third-dddd", write_suite(name="third", facets=["symptom"]), RECORDS)
    with pytest.raises(InvalidInput, match="no facet that both have"):
        await RunCache(runs).compare("small-aaaa", "third-dddd")
