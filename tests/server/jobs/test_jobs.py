from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from dbos import DBOS

from tests.parts import KeywordPipeline
from triage.domain.enums import Status
from triage.domain.errors import MisconfiguredService
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.domain.triage_result import Provenance, Triage
from triage.pipeline.pipeline import PipelineResult
from triage.server.jobs import JobOptions, Jobs
from triage.store import Pending, Store

TAXONOMY = Taxonomy.load("llm_inference")
FAST = JobOptions(polling_s=0.02, sweep_s=0.1, retry_s=0.05)


@pytest.fixture
def working(store: Store, tmp_path: Path) -> Callable[..., object]:
    @asynccontextmanager
    async def working(pipeline: KeywordPipeline, options: JobOptions = FAST) -> AsyncIterator[Jobs]:
        jobs = Jobs(store, pipeline, f"sqlite:///{tmp_path / 'jobs.db'}", options)
        await jobs.start()
        try:
            yield jobs
        finally:
            await jobs.stop()

    return working


async def post(store: Store, id: str, write_up: str = "A network switch failed.") -> None:  # noqa: A002
    await store.incidents.add(Incident(id=id, write_up=write_up), TAXONOMY.id)


async def until(store: Store, id: str, status: Status, attempts: int = 0) -> None:  # noqa: A002
    deadline = time.monotonic() + 60
    while (stored := await store.incidents.get(id)).status != status or stored.attempts < attempts:
        assert time.monotonic() < deadline, f"{id} is {stored.status} after {stored.attempts} attempts, not {status}"
        await asyncio.sleep(0.02)


def lose_job_database(folder: Path) -> None:
    for file in folder.glob("jobs.db*"):
        file.unlink()


async def test_a_queued_incident_is_triaged_once(store: Store, working: Callable) -> None:
    pipeline = KeywordPipeline(TAXONOMY)
    await post(store, "a")
    async with working(pipeline) as jobs:
        await jobs.enqueue("a")
        await jobs.enqueue("a")
        await jobs.wait("a", 10)
        await jobs.enqueue("a")
        await asyncio.sleep(0.3)

    triage = await store.triages.find("a")
    assert triage is not None
    assert triage.facets["category"].labels == ("infrastructure",)
    assert pipeline.seen == ["a"]


async def test_the_vector_that_was_made_is_kept_with_the_triage(store: Store, working: Callable) -> None:
    class Embedding(KeywordPipeline):
        async def run(self, incident: Incident, **_: object) -> PipelineResult:
            triage, _vector = await super().run(incident)
            made = triage.provenance.model_copy(update={"embedder": "an embedder"})
            return PipelineResult(triage.model_copy(update={"provenance": made}), np.arange(3, dtype=np.float32))

    await post(store, "a")
    async with working(Embedding(TAXONOMY)) as jobs:
        await jobs.enqueue("a")
        await jobs.wait("a", 10)

    assert (await store.vectors.find_many("an embedder", ["a"]))["a"].tolist() == [0, 1, 2]


async def test_waiting_ends_with_the_result_or_with_the_time(store: Store, working: Callable) -> None:
    await post(store, "a", "It went slowly.")
    async with working(KeywordPipeline(TAXONOMY, slow_s=0.5)) as jobs:
        await jobs.enqueue("a")
        start = time.monotonic()
        await jobs.wait("a", 0.1)
        assert (await store.incidents.get("a")).status == "pending"
        await jobs.wait("a", 20)
        assert (await store.incidents.get("a")).status == "triaged"
        assert time.monotonic() - start < 3
        await jobs.wait("a", 20)


async def test_an_incident_that_was_stored_but_never_queued_is_found_at_start_and_later(
    store: Store, working: Callable
) -> None:
    await post(store, "before")
    async with working(KeywordPipeline(TAXONOMY)):
        await post(store, "after")
        await until(store, "before", "triaged")
        await until(store, "after", "triaged")


async def test_an_unexpected_error_is_stored_and_the_incident_tried_again(store: Store, working: Callable) -> None:
    pipeline = KeywordPipeline(TAXONOMY, failures=1)
    await post(store, "a", "Words that trip the pipeline.")
    async with working(pipeline, FAST._replace(retry_s=0.5)) as jobs:
        await jobs.enqueue("a")
        await jobs.wait("a", 10)
        failed = await store.incidents.get("a")
        assert failed.status == "failed"
        assert failed.failure is not None
        assert "(RuntimeError)" in failed.failure
        assert "tripped" not in failed.failure
        assert failed.retry_at is not None
        await until(store, "a", "triaged")

    assert pipeline.seen == ["a", "a"]
    assert (await store.incidents.get("a")).failure is None


async def test_an_incident_that_keeps_failing_is_given_up_with_its_reason(store: Store, working: Callable) -> None:
    pipeline = KeywordPipeline(TAXONOMY, failures=99)
    await post(store, "a", "Words that trip the pipeline.")
    async with working(pipeline, FAST._replace(attempts=2)) as jobs:
        await jobs.enqueue("a")
        await until(store, "a", "failed", attempts=2)
        await asyncio.sleep(0.4)

    given_up = await store.incidents.get("a")
    assert (given_up.status, given_up.attempts, given_up.retry_at) == ("failed", 2, None)
    assert pipeline.seen == ["a", "a"]


async def test_what_was_given_up_or_is_degraded_is_triaged_again_when_somebody_asks(
    store: Store, working: Callable
) -> None:
    pipeline = KeywordPipeline(TAXONOMY, failures=1)
    await post(store, "a", "Words that trip the pipeline.")
    await post(store, "b")
    provenance = Provenance(taxonomy=TAXONOMY.id, taxonomy_version=TAXONOMY.version)
    await store.triages.save("b", Triage(incident_id="b", facets={}, degraded=True, provenance=provenance))
    async with working(pipeline, FAST._replace(attempts=1)) as jobs:
        await jobs.enqueue("a")
        await until(store, "a", "failed", attempts=1)

        assert [await jobs.retry(name) for name in ("a", "b", "b", "none")] == [True, True, False, False]
        await until(store, "a", "triaged")
        await until(store, "b", "triaged")

    triage = await store.triages.find("b")
    assert triage is not None
    assert not triage.degraded
    assert sorted(pipeline.seen) == ["a", "a", "b"]


async def test_what_was_running_at_a_stop_is_finished_after_the_next_start(store: Store, working: Callable) -> None:
    await post(store, "a", "It went slowly.")
    first = KeywordPipeline(TAXONOMY, slow_s=60)
    async with working(first) as jobs:
        await jobs.enqueue("a")
        await first.began.wait()

    assert (await store.incidents.get("a")).status == "pending"
    second = KeywordPipeline(TAXONOMY)
    async with working(second) as jobs:
        await jobs.wait("a", 10)

    assert (await store.incidents.get("a")).status == "triaged"
    assert second.seen == ["a"]


async def test_a_provisional_triage_is_no_run_and_gives_way_to_the_triage(store: Store, working: Callable) -> None:
    await post(store, "a", "It went slowly.")
    pipeline = KeywordPipeline(TAXONOMY, slow_s=60)
    async with working(pipeline) as jobs:
        await jobs.enqueue("a")
        await pipeline.began.wait()
        provisional = Triage.model_validate_json(str(await store.triages.find_provisional("a")))

    # The process stopped: what is provisional stays, and nothing counts it.
    assert provisional.is_provisional
    assert await store.triages.find_provisional("a") is not None
    assert await store.triages.find("a") is None
    assert await store.triages.list("a", 9) == []
    assert (await store.triages.list_finished(9)).triages == ()
    assert await store.notifications.list(incident_id="a", limit=9) == []
    again = KeywordPipeline(TAXONOMY)
    async with working(again) as jobs:
        await jobs.wait("a", 10)

    assert await store.triages.find_provisional("a") is None
    assert [run.triage.is_provisional for run in await store.triages.list("a", 9)] == [False]
    assert again.seen == ["a"]
    # A process that was slow to tell comes too late.
    assert not await store.triages.save_provisional(Pending("a", 0), provisional)


async def test_threads_can_still_be_used_after_a_stop(working: Callable) -> None:
    async with working(KeywordPipeline(TAXONOMY)):
        pass
    assert await asyncio.to_thread(lambda: 42) == 42


async def test_a_workflow_that_ended_without_a_result_becomes_a_failure(store: Store, working: Callable) -> None:
    pipeline = KeywordPipeline(TAXONOMY, slow_s=60)
    await post(store, "a", "It went slowly.")
    async with working(pipeline, FAST._replace(retry_s=60)) as jobs:
        await jobs.enqueue("a")
        await pipeline.began.wait()
        await DBOS.cancel_workflow_async("a")
        await until(store, "a", "failed")

    assert "CANCELLED" in str((await store.incidents.get("a")).failure)


async def test_the_phase_of_what_has_ended_meanwhile_goes_no_step_back(store: Store, working: Callable) -> None:
    await post(store, "a")
    waiting = await store.incidents.get("a")
    async with working(KeywordPipeline(TAXONOMY)) as jobs:
        await until(store, "a", "triaged")
        assert await jobs.phase(waiting) == "done"
        await store.incidents.delete("a", "ada")
        assert await jobs.phase(waiting) == "done"


async def test_a_lost_job_database_loses_no_incident(store: Store, working: Callable, tmp_path: Path) -> None:
    async with working(KeywordPipeline(TAXONOMY)):
        await post(store, "a")
        await until(store, "a", "triaged")
    lose_job_database(tmp_path)
    await post(store, "b")

    pipeline = KeywordPipeline(TAXONOMY)
    async with working(pipeline):
        await until(store, "b", "triaged")

    assert pipeline.seen == ["b"]


async def test_no_more_incidents_run_at_once_than_allowed(store: Store, working: Callable) -> None:
    most = now = 0
    two_at_once = asyncio.Event()

    class Counting(KeywordPipeline):
        async def run(self, incident: Incident, **_: object):
            nonlocal most, now
            now += 1
            most = max(most, now)
            if now == 2:
                two_at_once.set()
            # The first waits for a second, however long that takes to begin; from then on a third would be seen.
            await asyncio.wait_for(two_at_once.wait(), 60)
            await asyncio.sleep(0.05)
            now -= 1
            return await super().run(incident)

    for n in range(10):
        await post(store, f"i{n}")
    async with working(Counting(TAXONOMY), FAST._replace(concurrency=2)):
        for n in range(10):
            await until(store, f"i{n}", "triaged")

    assert most == 2


async def test_a_process_works_on_one_queue(store: Store, working: Callable, tmp_path: Path) -> None:
    async with working(KeywordPipeline(TAXONOMY)):
        with pytest.raises(MisconfiguredService):
            await Jobs(store, KeywordPipeline(TAXONOMY), f"sqlite:///{tmp_path / 'other.db'}").start()
