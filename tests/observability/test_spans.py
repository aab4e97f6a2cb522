"""Spans while somebody records them, and while nobody does."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from triage.observability import spans


@pytest.fixture
def recorded() -> Iterator[InMemorySpanExporter]:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    spans.switch_on(provider)
    yield exporter
    spans.switch_off()


def test_spans_stand_within_each_other_also_across_tasks(recorded: InMemorySpanExporter) -> None:
    async def inner() -> None:
        with spans.span("inner", {"n": 1, "unknown": None}):
            spans.current().event("something", {"why": "because"})

    async def outer() -> None:
        with spans.span("outer", kind="client"):
            await asyncio.create_task(inner())

    asyncio.run(outer())
    first, second = recorded.get_finished_spans()

    assert (first.name, second.name) == ("inner", "outer")
    assert first.parent is not None
    assert first.parent.span_id == second.context.span_id
    assert dict(first.attributes or {}) == {"n": 1}
    assert first.events[0].name == "something"


def test_an_error_leaves_its_kind_and_not_its_message(recorded: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match="secret"), spans.span("step"):
        raise ValueError("the secret words of a write-up")
    [failed] = recorded.get_finished_spans()

    assert failed.status.status_code is StatusCode.ERROR
    assert failed.attributes == {"error.type": "ValueError"}
    assert "secret" not in failed.to_json()


def test_a_span_joins_the_trace_that_a_caller_names(recorded: InMemorySpanExporter) -> None:
    trace_id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    with spans.span("request", kind="server", carrier={"traceparent": f"00-{trace_id}-{parent}-01"}):
        assert spans.current_ids()["trace_id"] == trace_id
    with spans.span("request", kind="server", carrier={"traceparent": "nonsense"}):
        assert spans.current_ids()["trace_id"] != trace_id
    first, second = recorded.get_finished_spans()

    assert first.parent is not None
    assert f"{first.parent.span_id:016x}" == parent
    assert second.parent is None


def test_nothing_is_recorded_nor_imported_while_nobody_traces() -> None:
    program = """
import sys
from triage.observability import spans
with spans.span("step", {"n": 1}, kind="client", carrier={}) as span:
    span.set({"n": 2}); span.event("e", {}); span.fail("x"); span.rename("y"); spans.current().set({})
assert not span.is_recorded and not spans.is_on() and spans.current_ids() == {} and spans.current_context() is None
assert not [name for name in sys.modules if name.startswith("opentelemetry")]
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
