"""Export of traces to a collector (OTLP over gRPC), if the operator turns it on.

OpenTelemetry's own environment variables apply: OTEL_EXPORTER_OTLP_ENDPOINT and the like, OTEL_SERVICE_NAME,
OTEL_RESOURCE_ATTRIBUTES, OTEL_TRACES_SAMPLER, OTEL_BSP_*.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from triage.observability import spans

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

_FLUSH_WITHIN_MS = 3_000


@asynccontextmanager
async def traced_process(role: str, version: str, *, is_on: bool, keeps_content: bool = False) -> AsyncIterator[None]:
    """Export this process's spans while the block runs, and flush them at its end. Imports OpenTelemetry only if on.

    If the collector can't be reached, a warning is logged and the spans are lost.
    """
    if not is_on:
        yield
        return
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=resource(role, version), shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    spans.switch_on(provider, keeps_content=keeps_content)
    try:
        yield
    finally:
        spans.switch_off()
        await asyncio.to_thread(provider.force_flush, _FLUSH_WITHIN_MS)
        await asyncio.to_thread(provider.shutdown)


def resource(role: str, version: str) -> Resource:
    """The process that sends the spans. OpenTelemetry's environment variables override these values."""
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource

    own = {
        "service.name": "triage",
        "service.version": version,
        "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
        "triage.role": role,
    }
    return Resource.create(own).merge(OTELResourceDetector().detect())
