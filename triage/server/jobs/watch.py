"""A job seen from outside: its span, in the trace of the request that posted it, and its incident's id in the log."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

from dbos import DBOS, EnqueueOptions

from triage.observability import logs, spans

# Where DBOS keeps the trace that a workflow was given. Its own spans, which would read it, need the exporter over HTTP.
_CARRIER = "dbos.otelContext"


def carry(options: EnqueueOptions) -> EnqueueOptions:
    """`options` of a job that is to join the trace that is open, if one is."""
    context = spans.current_context()
    return options if context is None else {**options, "otel_context": context}


@asynccontextmanager
async def watched(name: str, workflow_id: str, incident_id: str, attempt: int) -> AsyncIterator[None]:
    """A span for the whole job, also where another process posted it, and the incident's id in what is logged."""
    with logs.about_incident(incident_id):
        if not spans.is_on():
            yield
            return
        about: dict[str, spans.Value | None] = {
            "dbos.operation.workflow_id": workflow_id,
            "triage.incident_id": incident_id,
            "triage.attempt": attempt + 1,
        }
        with spans.span(name, about, kind="consumer", carrier=await carrier(workflow_id)):
            yield


async def carrier(workflow_id: str) -> Mapping[str, str]:
    """The trace that a job was enqueued with, as W3C Trace Context; empty without one."""
    # In a thread that knows nothing of the workflow: from inside, DBOS would count the look as one of its steps, and a
    # restart with telemetry switched the other way would not find its steps again.
    loop = asyncio.get_running_loop()
    status = await loop.run_in_executor(None, DBOS.get_workflow_status, workflow_id)
    attributes = cast("Mapping[str, object]", (status and status.attributes) or {})
    kept = attributes.get(_CARRIER)
    return cast("Mapping[str, str]", kept) if isinstance(kept, dict) else {}
