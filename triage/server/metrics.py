"""The service's metrics in the Prometheus text format: requests, triages, model calls, and pending work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from triage import __version__
from triage.domain.errors import MisconfiguredService

if TYPE_CHECKING:
    from triage.domain.triage_result import Triage
    from triage.models.chat.observer import FinishedCall
    from triage.store import Workload

_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TRIAGE_S = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_STEP_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_OVERLOADED = 503


class Metrics:
    """The counters of one process, in a registry of their own. `role` is `api` or `worker`.

    No label holds an id or a text: routes are templates, facets come from the taxonomy, models from the settings.
    """

    def __init__(self, role: str = "api", *, daily_cost: float | None = None, daily_tokens: int | None = None) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        info = Gauge("triage_info", "1, with version and role of this process.", ["version", "role"], registry=registry)
        info.labels(version=__version__, role=role).set(1)

        counter, histogram = partial(Counter, registry=registry), partial(Histogram, registry=registry)

        self._requests = counter("triage_http_requests", "Answered requests.", ["method", "route", "status"])
        self._request_s = histogram(
            "triage_http_request_seconds",
            "From a request's head to the end of its answer, including the wait of `Prefer: wait`.",
            ["method", "route"],
            buckets=_REQUEST_S,
        )
        self._accepted = counter("triage_incidents_accepted", "Incidents accepted for triage.")
        self._shed = counter("triage_incidents_shed", "Posts answered 503 because the job queue was full.")

        self._triages = counter(
            "triage_triages",
            "Triage attempts by outcome: ok, degraded (a model failed), retried, failed for good.",
            ["outcome"],
        )
        for outcome in ("ok", "degraded", "retried", "failed"):
            self._triages.labels(outcome=outcome)
        self._duration_s = histogram(
            "triage_duration_seconds",
            "From queueing an incident, usually when it was accepted, to its stored triage.",
            buckets=_TRIAGE_S,
        )
        self._step_s = histogram("triage_step_seconds", "One step of the pipeline.", ["step"], buckets=_STEP_S)
        self._abstentions = counter(
            "triage_abstentions", "Facets without a label as the triage was not sure.", ["facet"]
        )
        self.models = ModelMetrics(registry)
        self.workload = WorkloadMetrics(registry, daily_cost=daily_cost, daily_tokens=daily_tokens)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request."""
        self._requests.labels(method=method, route=route, status=str(status)).inc()
        self._request_s.labels(method=method, route=route).observe(seconds)
        if status == _OVERLOADED and method == "POST" and route.startswith(("/v1/incidents", "/v1/webhooks")):
            self._shed.inc()

    def accepted(self) -> None:
        """Count a new incident that was stored for triage."""
        self._accepted.inc()

    def triaged(self, triage: Triage, queued_at: datetime | None) -> None:
        """Count a stored triage. `queued_at` is None if the process that knew it died."""
        self._triages.labels(outcome="degraded" if triage.degraded else "ok").inc()
        if queued_at is not None:
            self._duration_s.observe(max((datetime.now(UTC) - queued_at).total_seconds(), 0))
        for step, seconds in triage.provenance.seconds.items():
            self._step_s.labels(step=step).observe(seconds)
        for facet in triage.facets.values():
            if facet.abstention is not None:
                self._abstentions.labels(facet=facet.facet).inc()

    def failed(self, *, is_final: bool) -> None:
        """Count a failed attempt; another one follows unless it `is_final`."""
        self._triages.labels(outcome="failed" if is_final else "retried").inc()

    def exposition(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self.registry)


class ModelMetrics:
    """Counts calls of chat models: an observer, see `triage.models.chat.observing`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        counter = partial(Counter, registry=registry)
        self._calls = counter(
            "triage_model_calls", "Model calls by outcome: ok, or the kind of error.", ["model", "outcome"]
        )
        self._seconds = Histogram(
            "triage_model_call_seconds",
            "One model call with all its retries.",
            ["model"],
            buckets=_STEP_S,
            registry=registry,
        )
        self._tokens = counter("triage_model_tokens", "Tokens that a model read and wrote.", ["model", "kind"])
        self._cost = counter(
            "triage_model_cost_usd", "US dollars by the price file; nothing if no price is known.", ["model"]
        )
        self._retries = counter("triage_model_retries", "Retries of model calls.", ["model"])
        about_breaker = "1 for the current state of a model's circuit breaker, 0 for the others."
        self._breaker = Gauge("triage_breaker_state", about_breaker, ["model", "state"], registry=registry)

    def called(self, call: FinishedCall) -> None:
        """See `ModelObserver.called`."""
        self._calls.labels(model=call.model, outcome=call.error_kind or "ok").inc()
        self._seconds.labels(model=call.model).observe(call.seconds)
        self._tokens.labels(model=call.model, kind="prompt").inc(call.prompt_tokens)
        self._tokens.labels(model=call.model, kind="completion").inc(call.completion_tokens)
        self._retries.labels(model=call.model).inc(call.retries)
        if call.cost is not None:
            self._cost.labels(model=call.model).inc(call.cost)

    def breaker_changed(self, model: str, state: str) -> None:
        """Set the state of a model's circuit breaker: `closed`, `open` or `half_open`."""
        for each in {"closed", "open", "half_open", state}:
            self._breaker.labels(model=model, state=each).set(float(each == state))


class WorkloadMetrics:
    """Gauges of the shared state, read from the store on request: every process reports the same values."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        daily_cost: float | None = None,
        daily_tokens: int | None = None,
        refresh_s: float = 5.0,
    ) -> None:
        self._refresh_s = refresh_s
        self._read_at = float("-inf")
        self._lock = asyncio.Lock()

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(name, about, labels, registry=registry)

        self._incidents = gauge("triage_incidents", "Incidents that are pending or failed.", "status")
        self._oldest = gauge("triage_oldest_pending_seconds", "Age of the oldest pending incident; 0 without one.")
        self._index_size = gauge("triage_index_size", "Incidents in the index of the history.")
        self._index_marks = gauge("triage_index_marks", "Changes that are not in the index yet.")
        self._notifications = gauge("triage_notifications", "Undelivered notifications.", "state")
        self._processes = gauge("triage_processes", "Recently seen processes.", "role")
        self._spent = gauge("triage_spending_usd", "US dollars spent today (UTC) by all processes.", "model")
        self._spent_tokens = gauge("triage_spending_tokens", "Tokens used today (UTC) by all processes.", "model")
        budget = gauge("triage_budget_usd", "The daily budget in US dollars.", "period")
        budget_tokens = gauge("triage_budget_tokens", "The daily budget in tokens.", "period")
        if daily_cost is not None:
            budget.labels(period="day").set(daily_cost)
        if daily_tokens is not None:
            budget_tokens.labels(period="day").set(daily_tokens)

    async def refresh(
        self, read: Callable[[], Awaitable[Workload]], index_size: Callable[[], Awaitable[int]] | None = None
    ) -> None:
        """Read the values, unless they were read a few seconds ago. Concurrent callers share one read."""
        async with self._lock:
            if time.monotonic() - self._read_at < self._refresh_s:
                return
            self._set(await read())
            if index_size is not None:
                self._index_size.set(await index_size())
            self._read_at = time.monotonic()

    def _set(self, workload: Workload) -> None:
        for status in ("pending", "failed"):
            self._incidents.labels(status=status).set(workload.incidents.get(status, 0))
        self._oldest.set(workload.oldest_pending_s)
        self._index_marks.set(workload.index_marks)
        for gauge, values, label in (
            (self._notifications, workload.notifications, "state"),
            (self._processes, workload.processes, "role"),
            (self._spent, workload.cost, "model"),
            (self._spent_tokens, workload.tokens, "model"),
        ):
            # Clears values that no longer exist.
            gauge.clear()
            for name, value in values.items():
                gauge.labels(**{label: name}).set(value)


@asynccontextmanager
async def serve_metrics(exposition: Callable[[], Awaitable[bytes]], host: str, port: int) -> AsyncIterator[int]:
    """Serve `exposition` at `GET /metrics`, for processes without the API; yields the port.

    Raises `MisconfiguredService` if the port is not available.
    """
    from aiohttp import web
    from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=await exposition(), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise MisconfiguredService(
                f"Metrics can't be served on {host}:{port} ({error.strerror or error}): set TRIAGE_METRICS_PORT to "
                "another port, or unset it.",
                setting="metrics_port",
            ) from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
