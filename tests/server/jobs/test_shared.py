"""The queue of several processes, on PostgreSQL."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy
from sqlalchemy import make_url

from tests.parts import KeywordPipeline
from tests.processes import Forked
from tests.server import jobs_child
from triage.domain.errors import Overloaded
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy
from triage.server.jobs import JobOptions, Jobs
from triage.store import Store, upgrade

TAXONOMY = Taxonomy.load("llm_inference")
API = JobOptions(role="api", dead_after_s=1.5)
WORKER = JobOptions(role="worker", dead_after_s=1.5, sweep_s=1, retry_s=0.2, patience_s=0.2)
WRITE_UP = "A network switch failed slowly."


@pytest.fixture
async def url(new_database: Callable[[], str]) -> str:
    url = new_database()
    await upgrade(url)
    return url


@contextmanager
def child(url: str, *, slow_s: float = 0.0, role: str = "worker") -> Iterator[Forked]:
    process = Forked(jobs_child.main, url, slow_s, role)
    try:
        assert process.await_line(), "the worker did not start"
        yield process
    finally:
        process.kill()
        process.wait(10)


async def post(store: Store, jobs: Jobs, id: str) -> None:  # noqa: A002
    await store.incidents.add(Incident(id=id, write_up=WRITE_UP), TAXONOMY.id)
    await jobs.enqueue(id)


def workflows(url: str, what: str = "*") -> list[tuple]:
    engine = sqlalchemy.create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.exec_driver_sql(f"SELECT {what} FROM dbos.workflow_status")]
    engine.dispose()
    return rows


async def test_what_a_killed_worker_had_in_work_is_done_by_another(store: Store, url: str) -> None:
    pipeline = KeywordPipeline(TAXONOMY)
    jobs = Jobs(store, pipeline, url, WORKER)
    await store.incidents.add(Incident(id="a", write_up=WRITE_UP), TAXONOMY.id)
    with child(url, slow_s=60) as other:
        deadline = time.monotonic() + 20
        while not workflows_pending(url):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.1)
        await jobs.start()
        try:
            await jobs.wait("a", 3)
            assert (await store.incidents.get("a")).status == "pending", "a living worker keeps its work"
            other.kill()
            await jobs.wait("a", 15)
            processes = [process.id for process in await store.processes.list()]
        finally:
            await jobs.stop()

    assert (await store.incidents.get("a")).status == "triaged"
    assert pipeline.seen == ["a"]
    assert processes == [jobs.executor]
    assert await store.processes.list() == []


def workflows_pending(url: str) -> list[tuple]:
    try:
        return [row for row in workflows(url, "status") if row == ("PENDING",)]
    except sqlalchemy.exc.ProgrammingError:
        return []


async def test_an_api_only_queues_and_waits_for_what_a_worker_does(store: Store, url: str) -> None:
    pipeline = KeywordPipeline(TAXONOMY)
    jobs = Jobs(store, pipeline, url, API)
    await jobs.start()
    try:
        await post(store, jobs, "a")
        await jobs.wait("a", 1.5)
        assert (await store.incidents.get("a")).status == "pending"
        with child(url):
            await jobs.wait("a", 15)
            assert (await store.incidents.get("a")).status == "triaged"
            kept = json.dumps(workflows(url), default=str)
            assert "switch" not in kept
            await jobs.forget("a")
            assert workflows(url) == []
    finally:
        await jobs.stop()
    assert pipeline.seen == []


async def test_too_many_waiting_incidents_are_refused_but_none_that_is_stored(store: Store, url: str) -> None:
    jobs = Jobs(store, KeywordPipeline(TAXONOMY), url, API._replace(most_pending=2))
    for name in ("a", "b"):
        await jobs.admit(name)
        await store.incidents.add(Incident(id=name, write_up=WRITE_UP), TAXONOMY.id)
    await jobs.admit("a")
    with pytest.raises(Overloaded) as refused:
        await jobs.admit("c")
    assert refused.value.data["retry_after_s"] > 0


async def test_a_connection_cut_while_the_pipeline_runs_costs_neither_the_result_nor_an_attempt(
    store: Store, url: str
) -> None:
    pipeline = KeywordPipeline(TAXONOMY, slow_s=1.0)
    jobs = Jobs(store, pipeline, url, WORKER)
    await jobs.start()
    try:
        await post(store, jobs, "a")
        await asyncio.wait_for(pipeline.began.wait(), 10)
        cut_all(url)
        await jobs.wait("a", 20)
        stored = await store.incidents.get("a")
    finally:
        await jobs.stop()
    assert (stored.status, stored.attempts) == ("triaged", 0)
    assert pipeline.seen == ["a"]


def cut_all(url: str) -> None:
    engine = sqlalchemy.create_engine(make_url(url).set(drivername="postgresql+psycopg"))
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    engine.dispose()


async def test_while_the_index_is_away_an_incident_is_tried_again_for_ever(store: Store, url: str) -> None:
    class WithoutIndex(KeywordPipeline):
        async def run(self, incident: Incident, **_):
            if len(self.seen) < 6:
                self.seen.append(incident.id)
                raise ConnectionRefusedError("no Chroma server")
            return await super().run(incident)

    jobs = Jobs(store, WithoutIndex(TAXONOMY), url, WORKER._replace(attempts=1, patience_s=0.05, sweep_s=0.1))
    await jobs.start()
    try:
        await post(store, jobs, "a")
        deadline = time.monotonic() + 20
        while (stored := await store.incidents.get("a")).status != "triaged":
            assert stored.status == "pending" or stored.retry_at is not None
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
    finally:
        await jobs.stop()
    assert stored.attempts >= 1


async def test_only_one_process_at_a_time_does_what_must_be_done_alone(store: Store, url: str) -> None:
    other, order = Store(url), []

    async def work(store: Store, name: str) -> None:
        async with store.lock("test"):
            order.append(name)
            await asyncio.sleep(0.1)
            order.append(name)

    await asyncio.gather(work(store, "a"), work(other, "b"))
    await other.close()
    assert order in (["a", "a", "b", "b"], ["b", "b", "a", "a"])
