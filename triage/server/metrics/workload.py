"""What waits and what is at work, read from the store when somebody asks for the metrics, a few seconds apart."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Gauge

if TYPE_CHECKING:
    from triage.store import Workload

_KEPT_S = 5.0


class WorkloadMetrics:
    """Gauges of the shared state: every process that is asked tells the same, so take the maximum over processes."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        daily_cost: float | None = None,
        daily_tokens: int | None = None,
        kept_s: float = _KEPT_S,
    ) -> None:
        self._kept_s = kept_s
        self._read_at = float("-inf")
        self._reading = asyncio.Lock()

        def gauge(name: str, about: str, *labels: str) -> Gauge:
            return Gauge(name, about, labels, registry=registry)

        self._incidents = gauge("triage_incidents", "Incidents that wait for a triage or failed.", "status")
        self._oldest = gauge(
            "triage_oldest_pending_seconds", "How long the oldest incident that waits has waited; 0 if none does."
        )
        self._index_size = gauge("triage_index_size", "Incidents in the index of the history.")
        self._index_marks = gauge("triage_index_marks", "Changes that are not in the index yet.")
        self._notifications = gauge("triage_notifications", "Notifications that are not delivered.", "state")
        self._processes = gauge("triage_processes", "Processes that were seen lately.", "role")
        self._spent = gauge("triage_spending_usd", "US dollars spent today (UTC), all processes together.", "model")
        self._spent_tokens = gauge("triage_spending_tokens", "Tokens used today (UTC), all processes.", "model")
        budget = gauge("triage_budget_usd", "US dollars that may be spent in a day.", "period")
        budget_tokens = gauge("triage_budget_tokens", "Tokens that may be used in a day.", "period")
        if daily_cost is not None:
            budget.labels(period="day").set(daily_cost)
        if daily_tokens is not None:
            budget_tokens.labels(period="day").set(daily_tokens)

    async def refresh(
        self, read: Callable[[], Awaitable[Workload]], index_size: Callable[[], Awaitable[int]] | None = None
    ) -> None:
        """Read anew unless that was done a moment ago. Whoever comes while it is read waits for that."""
        async with self._reading:
            if time.monotonic() - self._read_at < self._kept_s:
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
            # What is no longer there must not stay at its last value.
            gauge.clear()
            for name, value in values.items():
                gauge.labels(**{label: name}).set(value)
