"""Spans sent to a collector that listens on a real socket."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

from triage.observability import spans
from triage.observability.telemetry import resource, traced_process


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    def __init__(self) -> None:
        self.received: list[trace_service_pb2.ExportTraceServiceRequest] = []
        self.came = threading.Event()

    def Export(self, request: trace_service_pb2.ExportTraceServiceRequest, context: object) -> object:  # noqa: N802 - gRPC calls it so
        self.received.append(request)
        self.came.set()
        return trace_service_pb2.ExportTraceServiceResponse()


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    collector, server = Collector(), grpc.server(ThreadPoolExecutor(1))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(collector, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    yield collector
    server.stop(0)


async def test_what_was_recorded_is_sent_by_the_end(collector: Collector) -> None:
    async with traced_process("worker", "1.2.3", is_on=True):
        with spans.span("step"):
            pass
    assert not spans.is_on()
    assert collector.came.wait(5)
    [sent] = collector.received[0].resource_spans
    about = {each.key: each.value.string_value for each in sent.resource.attributes}

    assert sent.scope_spans[0].spans[0].name == "step"
    assert about["service.name"] == "triage"
    assert about["service.version"] == "1.2.3"
    assert about["triage.role"] == "worker"


async def test_nothing_is_recorded_unless_switched_on() -> None:
    async with traced_process("api", "1.2.3", is_on=False):
        assert not spans.is_on()


def test_the_operators_names_go_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "triage-blue")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=blue,triage.role=canary")
    about = resource("api", "1.2.3").attributes

    assert about["service.name"] == "triage-blue"
    assert about["deployment.environment.name"] == "blue"
    assert about["triage.role"] == "canary"
