"""Counters of models, gauges of what waits, and the port of processes that serve nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Delete, Table

from triage.domain.errors import MisconfiguredService
from triage.domain.incident import Incident
from triage.models.chat.observer import FinishedCall
from triage.server.metrics import Metrics, WorkloadMetrics, serve_metrics
from triage.store import Store, upgrade
from triage.store.database import create_engine
from triage.store.tables import incident_table, index_mark_table, notification_table, process_table, spending_table


def samples(exposition: bytes | str) -> dict[str, float]:
    """Sample, written as Prometheus writes it, -> value."""
    text = exposition if isinstance(exposition, str) else exposition.decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def test_calls_of_models_are_counted_by_how_they_ended() -> None:
    metrics = Metrics()
    metrics.models.called(FinishedCall("gpt", 900, 100, cost=0.002, seconds=1.5, retries=0, error_kind=None))
    metrics.models.called(FinishedCall("gpt", 0, 0, cost=None, seconds=60, retries=5, error_kind="timeout"))
    metrics.models.breaker_changed("gpt", "open")
    metrics.models.breaker_changed("gpt", "half_open")
    found = samples(metrics.exposition())

    assert found['triage_model_calls_total{model="gpt",outcome="ok"}'] == 1
    assert found['triage_model_calls_total{model="gpt",outcome="timeout"}'] == 1
    assert found['triage_model_tokens_total{kind="prompt",model="gpt"}'] == 900
    assert found['triage_model_tokens_total{kind="completion",model="gpt"}'] == 100
    assert found['triage_model_cost_usd_total{model="gpt"}'] == pytest.approx(0.002)
    assert found['triage_model_retries_total{model="gpt"}'] == 5
    assert found['triage_model_call_seconds_sum{model="gpt"}'] == pytest.approx(61.5)
    assert found['triage_breaker_state{model="gpt",state="half_open"}'] == 1
    assert found['triage_breaker_state{model="gpt",state="open"}'] == 0


def test_a_post_is_shed_only_where_it_is_one() -> None:
    metrics = Metrics()
    metrics.answered("POST", "/v1/incidents", 503, 0.001)
    metrics.answered("POST", "/v1/search", 503, 0.001)
    metrics.answered("GET", "/v1/incidents", 503, 0.001)

    assert samples(metrics.exposition())["triage_incidents_shed_total"] == 1


def test_what_one_process_counts_is_not_in_anothers_registry() -> None:
    one, other = Metrics(), Metrics("worker")
    one.accepted()

    assert samples(other.exposition())["triage_incidents_accepted_total"] == 0


async def put(url: str, table: Table | Delete, *rows: dict[str, object]) -> None:
    engine = create_engine(url)
    async with engine.begin() as connection:
        await connection.execute(table.insert() if isinstance(table, Table) else table, rows or None)
    await engine.dispose()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgresql":
        database: str = request.getfixturevalue("new_database")()
        return database
    return f"sqlite:///{tmp_path / 'triage.db'}"


async def test_what_waits_is_read_from_the_store(url: str) -> None:
    await upgrade(url)
    store, now = Store(url), datetime.now(UTC)
    empty = await store.get_workload()
    for n in range(3):
        await store.incidents.add(Incident(id=f"waiting-{n}", write_up="A switch failed."), "llm_inference")
    engine = create_engine(url)
    async with engine.begin() as connection:
        changed = incident_table.update().where(incident_table.c.id == "waiting-1")
        await connection.execute(changed.values(updated_at=now - timedelta(minutes=5)))
    await engine.dispose()
    await put(url, index_mark_table, {"incident_id": "waiting-1", "created_at": now})
    process = {"role": "worker", "version": "1", "started_at": now}
    await put(
        url,
        process_table,
        process | {"id": "alive", "seen_at": now},
        process | {"id": "dead", "seen_at": now - timedelta(hours=1)},
    )
    told = {"subscription_id": "s", "event": "triaged", "incident_id": "i", "created_at": now}
    states = ("pending", "delivered", "pending", "failed")
    await put(
        url, notification_table, *({"id": f"n{n}", "run_id": f"r{n}", "state": s} | told for n, s in enumerate(states))
    )
    today = {"day": now.date().isoformat(), "calls": 2, "prompt_tokens": 900, "completion_tokens": 100}
    await put(
        url,
        spending_table,
        today | {"model": "priced", "cost": 0.5, "is_priced": True},
        today | {"model": "unpriced", "cost": 0.0, "is_priced": False},
        today | {"model": "priced", "day": "2020-01-01", "cost": 9.0, "is_priced": True},
    )
    found = await store.get_workload()
    await store.close()

    assert empty == ({}, 0.0, 0, {}, {}, {}, {})
    assert found.incidents == {"pending": 3}
    assert found.oldest_pending_s == pytest.approx(300, abs=30)
    assert found.index_marks == 1
    assert found.notifications == {"pending": 2, "failed": 1}
    assert found.processes == {"worker": 1}
    assert found.cost == {"priced": 0.5}
    assert found.tokens == {"priced": 1000, "unpriced": 1000}


async def test_gauges_are_read_a_while_apart_and_forget_what_is_gone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'triage.db'}"
    await upgrade(url)
    store, registry = Store(url), CollectorRegistry()
    patient, eager = Metrics(daily_cost=2.5), WorkloadMetrics(registry, refresh_s=0)
    now = datetime.now(UTC)
    await put(url, process_table, {"id": "w", "role": "worker", "version": "1", "started_at": now, "seen_at": now})

    async def read() -> tuple[dict[str, float], dict[str, float]]:
        await patient.workload.refresh(store.get_workload)
        await eager.refresh(store.get_workload)
        return samples(patient.exposition()), samples(generate_latest(registry))

    first = await read()
    await store.incidents.add(Incident(id="waiting", write_up="A switch failed."), "llm_inference")
    await put(url, process_table.delete())
    second = await read()
    await store.close()

    assert first[0]['triage_budget_usd{period="day"}'] == 2.5
    assert first[0]['triage_processes{role="worker"}'] == first[1]['triage_processes{role="worker"}'] == 1
    assert second[0] | _unsteady(first[0]) == first[0] | _unsteady(first[0])
    assert second[1]['triage_incidents{status="pending"}'] == 1
    assert 'triage_processes{role="worker"}' not in second[1]


def _unsteady(found: dict[str, float]) -> dict[str, float]:
    """What changes by itself: the process's own CPU, memory and the like."""
    return {name: 0.0 for name in found if name.startswith(("process_", "python_"))}


async def test_a_worker_serves_its_metrics_on_a_port_of_their_own() -> None:
    metrics = Metrics("worker")

    async def exposition() -> bytes:
        return metrics.exposition()

    async with serve_metrics(exposition, "127.0.0.1", 0) as port, httpx.AsyncClient() as client:
        answered = await client.get(f"http://127.0.0.1:{port}/metrics")
        elsewhere = await client.get(f"http://127.0.0.1:{port}/")
        with pytest.raises(MisconfiguredService, match="TRIAGE_METRICS_PORT"):
            async with serve_metrics(exposition, "127.0.0.1", port):
                pass

    assert answered.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert any(name.startswith("triage_info{") and 'role="worker"' in name for name in samples(answered.text))
    assert elsewhere.status_code == 404
