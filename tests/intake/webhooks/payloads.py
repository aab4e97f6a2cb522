"""Payloads as the senders document them, written for these tests."""

from __future__ import annotations

import json
from typing import Any


def alertmanager(**changes: Any) -> dict[str, Any]:
    """Two alerts of one group: one fires, one is over."""
    common = {"alertname": "QueueTooLong", "severity": "page", "service": "llm-gateway"}
    return {
        "version": "4",
        "groupKey": '{}/{severity="page"}:{alertname="QueueTooLong"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "triage",
        "groupLabels": {"alertname": "QueueTooLong"},
        "commonLabels": common,
        "commonAnnotations": {"summary": "Requests wait longer than 30 s"},
        "externalURL": "https://alertmanager.example:9093",
        "alerts": [
            {
                "status": "firing",
                "labels": common | {"region": "eu-west"},
                "annotations": {
                    "summary": "Requests wait longer than 30 s",
                    "description": "312 requests wait in eu-west.",
                },
                "startsAt": "2026-03-02T09:12:30.123456789Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://prometheus.example/graph?g0.expr=queue_length",
                "fingerprint": "0a1b2c3d4e5f6071",
            },
            {
                "status": "resolved",
                "labels": common | {"region": "us-east"},
                "annotations": {"summary": "Requests wait longer than 30 s"},
                "startsAt": "2026-03-02T09:01:00Z",
                "endsAt": "2026-03-02T09:10:00Z",
                "generatorURL": "https://prometheus.example/graph?g0.expr=queue_length",
                "fingerprint": "1a1b2c3d4e5f6071",
            },
        ],
    } | changes


def grafana(**changes: Any) -> dict[str, Any]:
    """What Grafana adds to it."""
    it = alertmanager()
    it["alerts"] = [
        alert
        | {
            "values": {"A": 312, "C": 1},
            "valueString": "[ var='A' labels={} value=312 ]",
            "silenceURL": "https://grafana.example/silence",
            "dashboardURL": "",
            "panelURL": "",
            "orgId": 1,
        }
        for alert in it["alerts"]
    ]
    extra = {"version": "1", "orgId": 1, "title": "[FIRING:1] QueueTooLong", "state": "alerting", "message": "..."}
    return it | extra | changes


def pagerduty(event_type: str = "incident.triggered", **changes: Any) -> dict[str, Any]:
    incident = {
        "id": "Q2XHLMNO3P4QRS",
        "type": "incident",
        "self": "https://api.pagerduty.com/incidents/Q2XHLMNO3P4QRS",
        "html_url": "https://acme.pagerduty.com/incidents/Q2XHLMNO3P4QRS",
        "number": 4711,
        "status": "triggered",
        "incident_key": "queue-too-long",
        "created_at": "2026-03-02T09:12:30Z",
        "title": "Requests to the model gateway time out",
        "service": {"id": "PS1", "type": "service_reference", "summary": "LLM gateway", "html_url": None},
        "assignees": [{"id": "PU1", "type": "user_reference", "summary": "Ada"}],
        "escalation_policy": {"id": "PE1", "type": "escalation_policy_reference", "summary": "Serving"},
        "teams": [{"id": "PT1", "type": "team_reference", "summary": "Inference"}],
        "priority": {"id": "PP1", "type": "priority_reference", "summary": "P1"},
        "urgency": "high",
        "conference_bridge": None,
        "resolve_reason": None,
    }
    return {
        "event": {
            "id": "01CEVENTID0001",
            "event_type": event_type,
            "resource_type": "incident",
            "occurred_at": "2026-03-02T09:12:31.500Z",
            "agent": None,
            "client": {"name": "Monitoring"},
            "data": incident | changes,
        }
    }


def incident_io(event_type: str = "public_incident.incident_created_v2", **changes: Any) -> dict[str, Any]:
    incident = {
        "id": "01HQINCIDENT00000000000001",
        "reference": "INC-311",
        "name": "Completions are cut off",
        "summary": "Streams of completions end after 4 KB since the proxy's release.",
        "permalink": "https://app.incident.io/acme/incidents/311",
        "created_at": "2026-03-02T09:12:30.000Z",
        "updated_at": "2026-03-02T09:12:31.000Z",
        "severity": {"id": "01S", "name": "Major", "rank": 2, "description": ""},
        "incident_type": {"id": "01T", "name": "Production"},
        "incident_status": {"id": "01U", "name": "Investigating", "category": "live"},
        "mode": "standard",
        "visibility": "public",
        "custom_field_entries": [],
        "incident_role_assignments": [],
    }
    return {"event_type": event_type, event_type: incident | changes}


def generic(kind: str = "incident.created", **changes: Any) -> dict[str, Any]:
    data = {
        "id": "ticket/81",
        "title": "Embeddings are empty",
        "write_up": "Since 09:00 the embedding service returns vectors of zeros for one model.",
        "service": "embeddings",
        "severity": "SEV-2",
        "started_at": "2026-03-02T09:00:00Z",
    }
    return {"type": kind, "timestamp": "2026-03-02T09:12:30Z", "data": data | changes}


def encoded(payload: Any) -> bytes:
    return json.dumps(payload).encode()
