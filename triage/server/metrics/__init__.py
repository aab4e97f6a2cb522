"""What the service counts, in the Prometheus text format: requests, triages, models, and the work that waits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector
from prometheus_client import generate_latest as _generate

from triage import __version__
from triage.server.metrics.workload import WorkloadMetrics

if TYPE_CHECKING:
    from triage.domain.triage_result import Triage

__all__ = ["Metrics", "ModelMetrics", "WorkloadMetrics"]

_REQUEST_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_TRIAGE_S = (0.1, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_STEP_S = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
_OVERLOADED = 503


class Metrics:
    """The counters of one process, in a registry of their own. `role` is what the process does: `api` or `worker`.

    No label holds an id or a text: routes are templates, facets those of the taxonomy, models those of the settings.
    """

    def __init__(self, role: str = "api", *, daily_cost: float | None = None, daily_tokens: int | None = None) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        info = Gauge("triage_info", "1, with what this process is.", ["version", "role"], registry=registry)
        info.labels(version=__version__, role=role).set(1)

        self._requests = Counter(
            "triage_http_requests", "Requests answered.", ["method", "route", "status"], registry=registry
        )
        self._request_s = Histogram(
            "triage_http_request_seconds",
            "From a request's head to the end of its answer; one with `Prefer: wait` takes as long as it waits.",
            ["method", "route"],
            buckets=_REQUEST_S,
            registry=registry,
        )
        self._accepted = Counter("triage_incidents_accepted", "Incidents accepted for triage.", registry=registry)
        self._shed = Counter(
            "triage_incidents_shed", "Posts answered 503 because too much was waiting already.", registry=registry
        )

        self._triages = Counter(
            "triage_triages",
            "Attempts to triage by how they ended: ok, degraded (done without the model), retried, failed for good.",
            ["outcome"],
            registry=registry,
        )
        for outcome in ("ok", "degraded", "retried", "failed"):
            self._triages.labels(outcome=outcome)
        self._duration_s = Histogram(
            "triage_duration_seconds",
            "From the moment an incident was queued, as a rule when it was accepted, to its stored triage.",
            buckets=_TRIAGE_S,
            registry=registry,
        )
        self._step_s = Histogram(
            "triage_step_seconds", "One step of the pipeline.", ["step"], buckets=_STEP_S, registry=registry
        )
        self._abstentions = Counter(
            "triage_abstentions", "Facets left open because it was not sure enough.", ["facet"], registry=registry
        )
        self.models = ModelMetrics(registry)
        self.workload = WorkloadMetrics(registry, daily_cost=daily_cost, daily_tokens=daily_tokens)

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """A request was answered."""
        self._requests.labels(method=method, route=route, status=str(status)).inc()
        self._request_s.labels(method=method, route=route).observe(seconds)
        if status == _OVERLOADED and method == "POST" and route.startswith(("/v1/incidents", "/v1/webhooks")):
            self._shed.inc()

    def accepted(self) -> None:
        """A new incident was stored to be triaged."""
        self._accepted.inc()

    def triaged(self, triage: Triage, queued_at: datetime | None) -> None:
        """A triage was stored; None for when its incident was queued where a process that died since knew that."""
        self._triages.labels(outcome="degraded" if triage.degraded else "ok").inc()
        if queued_at is not None:
            self._duration_s.observe(max((datetime.now(UTC) - queued_at).total_seconds(), 0))
        for step, seconds in triage.provenance.seconds.items():
            self._step_s.labels(step=step).observe(seconds)
        for facet in triage.facets.values():
            if facet.abstention is not None:
                self._abstentions.labels(facet=facet.facet).inc()

    def failed(self, *, is_final: bool) -> None:
        """An attempt failed; another one follows unless it was the last."""
        self._triages.labels(outcome="failed" if is_final else "retried").inc()

    def exposition(self) -> bytes:
        """Everything in the text format."""
        return _generate(self.registry)


class ModelMetrics:
    """What calls of chat models took: an observer of them, see `triage.models.chat.observing`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "triage_model_calls",
            "Calls of a model by how they ended: ok, or the kind of error.",
            ["model", "outcome"],
            registry=registry,
        )
        self._seconds = Histogram(
            "triage_model_call_seconds",
            "One call of a model with all its tries.",
            ["model"],
            buckets=_STEP_S,
            registry=registry,
        )
        self._tokens = Counter(
            "triage_model_tokens", "Tokens that a model read and wrote.", ["model", "kind"], registry=registry
        )
        self._cost = Counter(
            "triage_model_cost_usd",
            "US dollars by the price file; nothing where no price is known.",
            ["model"],
            registry=registry,
        )
        self._retries = Counter(
            "triage_model_retries", "Tries of calls beyond the first ones.", ["model"], registry=registry
        )
        self._breaker = Gauge(
            "triage_breaker_state",
            "1 for the state that a model's circuit breaker is in, 0 for the others.",
            ["model", "state"],
            registry=registry,
        )

    def called(
        self,
        model: str,
        *,
        prompt_tokens: int,
        completion_tokens: int,
        cost: float | None,
        seconds: float,
        retries: int,
        error_kind: str | None,
    ) -> None:
        """A call ended, well where `error_kind` is None. `cost` is in US dollars, None where unknown."""
        self._calls.labels(model=model, outcome=error_kind or "ok").inc()
        self._seconds.labels(model=model).observe(seconds)
        self._tokens.labels(model=model, kind="prompt").inc(prompt_tokens)
        self._tokens.labels(model=model, kind="completion").inc(completion_tokens)
        self._retries.labels(model=model).inc(retries)
        if cost is not None:
            self._cost.labels(model=model).inc(cost)

    def breaker_changed(self, model: str, state: str) -> None:
        """A model's circuit breaker is in another state now: `closed`, `open` or `half_open`."""
        for each in {"closed", "open", "half_open", state}:
            self._breaker.labels(model=model, state=each).set(float(each == state))
