"""An incident, and the history in which the pipeline finds what resembles it."""

from __future__ import annotations

from triage.domain.annotation import Labels
from triage.domain.incident import Incident
from triage.domain.taxonomy import Taxonomy

TAXONOMY = Taxonomy.load("llm_inference")
KEY = "sk-proj-1" + "a1B2c3D4e5F6g7H8i9J0" + "T3BlbkFJ" + "k1L2m3N4o5P6q7R8s9T0"
INCIDENT = Incident(
    id="new",
    title="Completions fail",
    write_up=f"Mail from ann@corp.example: the cache cluster ran out of connections, key {KEY} was in the log. "
    "Requests failed with 503 for an hour. We restarted the cluster and it recovered.",
)
HISTORY: dict[str, tuple[str, Labels]] = {
    "redis": (
        "A cache cluster refused new connections after its limit was reached, so completions failed.",
        {"category": ("inference_engine",), "failure_mode": ("resource_exhaustion",), "mitigation": ("restart",)},
    ),
    "power": (
        "A data centre lost power and all nodes in it went dark until the generators started.",
        {"category": ("infrastructure",), "failure_mode": ("power_cooling",), "mitigation": ("failover",)},
    ),
    "certificate": (
        "The certificate of the gateway expired at night and clients could not connect.",
        {"category": ("operational",), "failure_mode": ("certificate_or_credential",), "mitigation": ("undisclosed",)},
    ),
}
