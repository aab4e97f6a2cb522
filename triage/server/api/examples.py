"""Bodies for the OpenAPI description, with examples that work."""

from __future__ import annotations

import json
from typing import Any

INCIDENT = {
    "title": "Chat completions time out in one region",
    "write_up": (
        "At 09:12 UTC the p99 latency of chat completions in eu-west rose from 2 s to over 60 s and most requests "
        "timed out. Restarting the workers helped for a few minutes. The request router leaked connections to the "
        "workers until it could open no more. We rolled back the router's release and traffic recovered at 09:58."
    ),
    "service": "chat-api",
    "severity": "SEV-2",
    "started_at": "2026-03-02T09:12:00Z",
    "detected_at": "2026-03-02T09:20:00Z",
    "mitigated_at": "2026-03-02T09:58:00Z",
    "attributes": {"region": "eu-west"},
}
ANNOTATION = {"facet": "category", "labels": ["inference_engine"], "annotator": "ada@example.org", "is_gold": True}
ADJUDICATION = {
    "facet": "category",
    "labels": ["inference_engine"],
    "annotator": "lin@example.org",
    "note": "The write-up names the leak in the router; the release only brought it in.",
}
AGREEMENT = {
    "computed_at": "2026-03-02T12:00:00Z",
    "taxonomy": "llm_inference 1.0.0",
    "window_days": 30,
    "window_cases": 500,
    "gate": 0.6,
    "facets": [
        {
            "facet": "category",
            "kappa": {
                "value": 0.47,
                "n": 64,
                "observed": 0.61,
                "expected": 0.264,
                "interval": {"low": 0.32, "high": 0.58, "confidence": 0.95, "resamples": 10000},
            },
            "unseen": {
                "value": 0.41,
                "n": 31,
                "observed": 0.55,
                "expected": 0.237,
                "interval": {"low": 0.19, "high": 0.61, "confidence": 0.95, "resamples": 10000},
            },
            "abstained": 3,
            "coverage": {"hits": 61, "n": 210},
            "state": "below",
            "drift": {"recent": 210, "reference": 198, "p": 0.41, "psi": 0.02},
            "alerts": ["category: kappa of model and people is 0.47 [0.32, 0.58] on 64 labels, wholly below the gate."],
        }
    ],
    "note": "People choose which incidents they label: read kappa beside the coverage.",
}
METRICS = """\
# HELP triage_live_kappa Cohen's kappa of the deployed model's labels and people's, over the window.
# TYPE triage_live_kappa gauge
triage_live_kappa{facet="category"} 0.47
"""
SUBSCRIPTION = {"url": "https://hooks.example.org/triage", "team": "serving", "events": ["triaged", "failed"]}
WEBHOOK_SOURCE = {"kind": "alertmanager", "team": "serving"}
SEARCH = {"text": "requests time out after a router release", "k": 5}


def incident_body() -> dict[str, Any]:
    """The body of `POST /v1/incidents`."""
    text = {"schema": {"type": "string"}, "example": f"# {INCIDENT['title']}\n\n{INCIDENT['write_up']}"}
    return _body(
        {
            "application/json": {"schema": _reference("NewIncident"), "example": INCIDENT},
            "text/markdown": text,
            "text/plain": {"schema": {"type": "string"}, "example": INCIDENT["write_up"]},
        }
    )


def batch_body() -> dict[str, Any]:
    """The body of `POST /v1/incidents/batch`. An item may be anything: each is judged by itself."""
    one = _reference("NewIncident")
    many = {"type": "array", "items": {"anyOf": [one, {}]}, "minItems": 1, "maxItems": 1000}
    schema = {
        "type": "object",
        "properties": {"incidents": many},
        "required": ["incidents"],
        "additionalProperties": False,
    }
    line = {"schema": {"type": "string"}, "example": json.dumps(INCIDENT)}
    return _body(
        {
            "application/json": {"schema": schema, "example": {"incidents": [INCIDENT]}},
            "application/x-ndjson": line,
        }
    )


def annotation_body() -> dict[str, Any]:
    """The body of `POST /v1/incidents/{incident_id}/annotations`."""
    return _one_or_many("NewAnnotation", ANNOTATION)


def adjudication_body() -> dict[str, Any]:
    """The body of `POST /v1/incidents/{incident_id}/adjudications`."""
    return _one_or_many("NewAdjudication", ADJUDICATION)


def search_body() -> dict[str, Any]:
    """The body of `POST /v1/search`."""
    return _body({"application/json": {"schema": _reference("SearchQuery"), "example": SEARCH}})


def subscription_body() -> dict[str, Any]:
    """The body of `POST /v1/subscriptions`."""
    return _body({"application/json": {"schema": _reference("NewSubscription"), "example": SUBSCRIPTION}})


def webhook_source_body() -> dict[str, Any]:
    """The body of `POST /v1/webhook-sources`."""
    return _body({"application/json": {"schema": _reference("NewWebhookSource"), "example": WEBHOOK_SOURCE}})


def source_secret_body() -> dict[str, Any]:
    """The body of `PUT /v1/webhook-sources/{source_id}/secret`."""
    return _body({"application/json": {"schema": _reference("SourceSecret"), "example": {"secret": "from the sender"}}})


def webhook_body() -> dict[str, Any]:
    """The body of `POST /v1/webhooks/{source_id}`: whatever the sender makes."""
    return _body({"application/json": {"schema": {"type": "object"}}})


def _one_or_many(name: str, example: dict[str, Any]) -> dict[str, Any]:
    one = _reference(name)
    schema = {"oneOf": [one, {"type": "array", "items": one, "minItems": 1, "maxItems": 100}]}
    return _body({"application/json": {"schema": schema, "example": example}})


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": content}}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}
